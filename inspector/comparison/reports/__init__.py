"""How is a comparison told? One form a file: JSON, text, Markdown, a page, a picture."""
