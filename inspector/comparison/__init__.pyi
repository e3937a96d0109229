from .differences import Difference as Difference
from .differences import aligned as aligned
from .differences import difference as difference
from .weight_changes import WeightChange as WeightChange
from .weight_changes import by_change as by_change
from .weight_changes import weight_change as weight_change
