"""The shell: reads the world, asks the core, makes it so, one step at a time."""
