from constructs_lib._node import use_supported_node

# Before any test module imports jsii, in whatever order its imports are.
use_supported_node()
