"""Classical mistakes, planted in our own code: does the checker find them, and name them?

plant, mistakes  the 95 as data     planting  our code with one of them     proof  what it is worth
"""
