from imports.io.k8s.networking.gateway import *
