"""Classical mistakes, planted in our own code: does the checker find them, and name them?

plant       a mistake as data                 mistakes, stories   the 95, and what they do
planting    our code with a mistake in it     proof               what the checker is worth
"""
