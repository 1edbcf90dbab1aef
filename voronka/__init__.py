"""voronka's face: command line, configuration, reports. What is heavy is imported by the command that needs it."""
