"""What this project claims about speed and accuracy, measured."""
