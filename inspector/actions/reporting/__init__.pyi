from .pair import beside as beside
