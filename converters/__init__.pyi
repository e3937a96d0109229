from . import errors as errors
from . import provenance as provenance
from .conversion import to_onnx as to_onnx
from .registry import Conversion as Conversion, Format as Format, Options as Options, format as format, formats as formats
