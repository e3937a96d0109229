from .application import application as application
from .opening import open_page as open_page
from .running import Address as Address
from .running import start as start
from .workplace import Workplace as Workplace
