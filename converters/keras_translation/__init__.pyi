from .model import convert_model as convert_model
from .model import convert_weights as convert_weights
