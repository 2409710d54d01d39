"""The app in containers: the recipes, read, held to rules, and followed by hand."""
