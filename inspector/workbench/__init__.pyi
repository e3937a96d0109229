from .assets import asset as asset
from .document import document as document
from .picturing import pictured as pictured
from .picturing import usual_order as usual_order
from .reading import Reading as Reading
from .reading import read_tensor as read_tensor
from .reading import summary_of as summary_of
from .single import single_page as single_page
