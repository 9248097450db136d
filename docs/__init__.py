"""The side-by-side page: python docs/side_by_side.py writes docs/side_by_side.html."""
