"""Which Keras classes a model file from someone else may name.

Listed one by one: a class that Keras adds later is refused until somebody has looked at it. Left out on purpose:
``Lambda`` and everything that calls functions given as data (``Map``, ``Scan``, ``Cond``, ``WhileLoop`` ...), layers
that wrap other frameworks' code (``TorchModuleWrapper``, ``TFSMLayer``, ``JaxLayer``, ``FlaxLayer``), and layers that
read vocabularies from files (``StringLookup``, ``IntegerLookup``, ``TextVectorization``).
"""

from __future__ import annotations

from types import MappingProxyType

__all__ = ["ACTIVATIONS", "COMPILED_CLASSES", "DTYPES", "STOCK_CLASSES"]

DTYPES = frozenset({
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "bfloat16", "float16", "float32", "float64",
})  # fmt: skip

_ACTIVATIONS = """
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear
    log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus
    sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink threshold
"""
ACTIVATIONS = frozenset(_ACTIVATIONS.split())

_LAYERS = """
    Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
    AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AdditiveAttention AlphaDropout Attention
    Average AveragePooling1D AveragePooling2D AveragePooling3D BatchNormalization Bidirectional CategoryEncoding
    CenterCrop Concatenate Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D
    ConvLSTM2D ConvLSTM3D Cropping1D Cropping2D Cropping3D Dense DepthwiseConv1D DepthwiseConv2D Discretization Dot
    Dropout ELU EinsumDense Embedding Flatten GRU GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D
    GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
    GroupNormalization GroupQueryAttention Identity InputLayer LSTM LSTMCell LayerNormalization LeakyReLU Masking
    MaxPooling1D MaxPooling2D MaxPooling3D Maximum Minimum MultiHeadAttention Multiply Normalization PReLU Permute
    RMSNormalization RNN RandomBrightness RandomContrast RandomCrop RandomFlip RandomRotation RandomTranslation
    RandomZoom ReLU RepeatVector Rescaling Reshape Resizing SeparableConv1D SeparableConv2D SimpleRNN SimpleRNNCell
    Softmax SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells Subtract
    TimeDistributed UnitNormalization UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D
    ZeroPadding3D
"""

_INITIALIZERS = """
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer LecunNormal LecunUniform
    Ones Orthogonal OrthogonalInitializer RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros
"""

# Operations of a functional model: pure arithmetic of tensors whose sizes follow from their inputs.
_NUMPY_OPS = """
    Abs Absolute Add All Amax Amin Any Arccos Arccosh Arcsin Arcsinh Arctan Arctan2 Arctanh Argmax Argmin Argsort
    Average BroadcastTo Cbrt Ceil Clip Concatenate Cos Cosh Cumprod Cumsum Deg2rad Diagonal Diff Digitize Divide
    DivideNoNan Dot Einsum Equal Exp Exp2 ExpandDims Expm1 Flip Floor FloorDivide FullLike GetItem Greater
    GreaterEqual Heaviside Hstack Hypot Inner Isclose Isfinite Isinf Isnan Isneginf Isposinf Less LessEqual Log
    Log10 Log1p Log2 Logaddexp Logaddexp2 LogicalAnd LogicalNot LogicalOr LogicalXor Matmul Max Maximum Mean Median
    Min Minimum Mod Moveaxis Multiply NanToNum Nanmax Nanmean Nanmin Nansum Nanvar Nanstd Negative NotEqual OnesLike
    Outer Pad Power Prod Quantile Rad2deg Ravel Reciprocal Repeat Reshape Roll Round SearchSorted Select Sign
    Signbit Sin Sinc Sinh Sort Split Sqrt Square Squeeze Stack Std Subtract Sum Swapaxes Take TakeAlongAxis Tan Tanh
    Tensordot Tile Transpose Tril Triu TrueDivide Trunc Var Vdot Vstack Where ZerosLike
"""

_NN_OPS = """
    AveragePool BatchNorm Celu Conv ConvTranspose DepthwiseConv DotProductAttention Elu Gelu Glu HardShrink
    HardSigmoid HardSilu HardTanh LayerNorm LeakyRelu LogSigmoid LogSoftmax MaxPool Moments MultiHot Normalize
    OneHot RMSNorm Relu Relu6 Selu SeparableConv Sigmoid Silu SoftShrink Softmax Softplus Softsign SparsePlus
    SparseSigmoid Sparsemax Squareplus TanhShrink Threshold
"""

STOCK_CLASSES = MappingProxyType(
    {
        module: frozenset(names.split())
        for module, names in {
            "keras": "DTypePolicy Functional Model Sequential",
            "keras.models": "Functional Model Sequential",
            "keras.src.models.functional": "Functional",
            "keras.src.models.sequential": "Sequential",
            "keras.layers": _LAYERS,
            "keras.initializers": _INITIALIZERS,
            "keras.regularizers": "L1 L1L2 L2 OrthogonalRegularizer",
            "keras.constraints": "MaxNorm MinMaxNorm NonNeg UnitNorm",
            "keras.dtype_policies": "DTypePolicy FloatDTypePolicy",
            "keras.src.ops.numpy": _NUMPY_OPS,
            "keras.src.ops.nn": _NN_OPS,
            "keras.src.ops.core": "Cast SaturateCast StopGradient Unstack",
            "keras.src.ops.math": "Erf Erfc Erfinv Logsumexp Rsqrt SegmentMax SegmentSum TopK",
            "keras.src.ops.linalg": "Norm",
        }.items()
    }
)

# What a model may have been compiled with. Left out on purpose: `Muon` (its config carries patterns of names), wrappers
# of other optimizers, metrics whose config says how much memory they take, and whatever is a function of the user's.
COMPILED_CLASSES = MappingProxyType(
    {
        module: frozenset(names.split())
        for module, names in {
            "keras.losses": """
                BinaryCrossentropy BinaryFocalCrossentropy CategoricalCrossentropy CategoricalFocalCrossentropy
                CategoricalHinge CosineSimilarity Dice Hinge Huber KLDivergence LogCosh MeanAbsoluteError
                MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson
                SparseCategoricalCrossentropy SquaredHinge Tversky
            """,
            "keras.optimizers": """
                Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion Nadam RMSprop SGD
            """,
            "keras.optimizers.schedules": """
                CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay PiecewiseConstantDecay
                PolynomialDecay
            """,
            "keras.metrics": """
                Accuracy BinaryAccuracy BinaryCrossentropy CategoricalAccuracy CategoricalCrossentropy
                CategoricalHinge CosineSimilarity Hinge KLDivergence LogCoshError MeanAbsoluteError
                MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson R2Score
                RootMeanSquaredError SparseCategoricalAccuracy SparseCategoricalCrossentropy SquaredHinge
            """,
        }.items()
    }
)
