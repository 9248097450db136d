"""Arrays in: MNIST and other image sets, folders of pictures, one picture."""
