"""A Keras model as ONNX graphs, the gradient among them."""
