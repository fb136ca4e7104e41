"""What rooms are written in: columns, schemas, rows, claims, sections, and the kit that rooms share."""
