"""The subcommands of ``snnbench``, one file each."""
