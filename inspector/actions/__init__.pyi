from .registry import Action as Action
from .registry import action as action
from .registry import actions as actions
from .registry import find_action as find_action
from .result import Result as Result
