from .feature_folder import file_stem as file_stem
from .feature_folder import replacing as replacing
from .feature_folder import write_index as write_index
from .feature_folder import write_value as write_value
from .value_pictures import draw_inputs as draw_inputs
from .value_pictures import draw_output_bars as draw_output_bars
from .value_pictures import draw_value as draw_value
