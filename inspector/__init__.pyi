from . import actions as actions
from . import autograd as autograd
from . import comparison as comparison
from . import errors as errors
from . import execution as execution
from . import graph as graph
from . import methods as methods
from . import views as views
from . import weights as weights
from .autograd import to_torch as to_torch
from .errors import InspectorError as InspectorError
from .graph import dag as dag
from .model import Model as Model, open_model as open_model
