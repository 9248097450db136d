"""Classical mistakes, planted in our own code: does the checker find them, and name them?"""

from gradcheck.plants.mistakes import PLANTS
from gradcheck.plants.planting import Findings, Plant, PlantError, diff, examine, mutate, planted

__all__ = ["PLANTS", "Plant", "PlantError", "mutate", "diff", "planted", "Findings", "examine"]
