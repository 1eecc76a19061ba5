"""The parts of `harvester doctor`: each looks at one thing and says what it found."""
