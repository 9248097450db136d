"""Pictures out: sheets of weights and mistakes, curves, drawn shapes."""
