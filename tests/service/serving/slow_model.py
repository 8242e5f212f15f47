"""Write the ONNX file of a slow model of the tides: run as a program with the file's path.

Each row goes through 24 products with a matrix of zeros, a few milliseconds in all on a usual core.
"""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH = 1500


def main(file: str) -> None:
    """Answer 0.25 for every row, slowly."""
    zeros = numpy_helper.from_array(np.zeros((1,), dtype=np.float32))
    make = helper.make_node
    nodes = [
        make("ConstantOfShape", ["square"], ["zeros"], value=zeros),
        make("ConstantOfShape", ["flat"], ["row"], value=zeros),
        make("MatMul", ["depth", "row"], ["x0"]),
        *(make("MatMul", [f"x{layer}", "zeros"], [f"x{layer + 1}"]) for layer in range(24)),
        make("ReduceMean", ["x24", "axis"], ["nothing"]),
        make("Add", ["nothing", "scores"], ["probabilities"]),
        make("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    constants = {
        "square": np.array([WIDTH, WIDTH]),
        "flat": np.array([1, WIDTH]),
        "axis": np.array([1]),
        "scores": np.array([[0.75, 0.25]], dtype=np.float32),
    }
    value, kinds = helper.make_tensor_value_info, TensorProto
    inputs = [value("depth", kinds.FLOAT, [None, 1]), value("spring", kinds.FLOAT, [None, 1])]
    inputs.append(value("port", kinds.STRING, [None, 1]))
    outputs = [value("label", kinds.INT64, [None]), value("probabilities", kinds.FLOAT, [None, 2])]
    tensors = [numpy_helper.from_array(constant, name) for name, constant in constants.items()]
    graph = helper.make_graph(nodes, "slow", inputs, outputs, tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), file)


if __name__ == "__main__":
    main(sys.argv[1])
