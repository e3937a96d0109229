from .coverage import coverage as coverage
from .coverage import coverage_markdown as coverage_markdown
from .registry import layer as layer
from .registry import layers as layers
from .registry import operation as operation
