from imports.org.nginx.gateway import *
