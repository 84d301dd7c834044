"""What an operator sees and does: health and commands by hand."""
