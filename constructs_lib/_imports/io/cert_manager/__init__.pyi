from imports.io.cert_manager import *
