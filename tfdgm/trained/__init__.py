"""Uses of a trained model: samples, reconstructions, export as a SavedModel."""
