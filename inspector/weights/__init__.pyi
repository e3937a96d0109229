from .export import Export as Export
from .export import export_weights as export_weights
from .selection import select_weights as select_weights
from .statistics import Statistics as Statistics
from .statistics import statistics_of as statistics_of
