"""Methods from derivatives of the score by the input."""
