"""The images, and an engine to build and run them on: the machine's, or a private one where there is none."""
