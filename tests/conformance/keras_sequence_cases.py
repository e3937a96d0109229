"""Which recurrent, masked and attention layers are compared with Keras? Rows of the same table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.keras_cases import CASES, CF, SIGNAL, L, graph, one
from conformance.keras_oracle import keras

__all__ = ["CASES"]

# recurrent
for _name in ("LSTM", "GRU", "SimpleRNN"):
    one(_name, SIGNAL, lambda n=_name: getattr(L, n)(4))
    one(f"{_name}-sequences", SIGNAL, lambda n=_name: getattr(L, n)(4, return_sequences=True, use_bias=False))
    one(
        f"{_name}-backwards",
        SIGNAL,
        lambda n=_name: getattr(L, n)(4, return_sequences=True, go_backwards=True),
    )
    one(f"{_name}-state", (None, 6), lambda n=_name: getattr(L, n)(4, return_state=True))
    one(f"{_name}-relu", SIGNAL, lambda n=_name: getattr(L, n)(4, activation="relu"))
    one(f"{_name}-gelu", SIGNAL, lambda n=_name: getattr(L, n)(4, activation="gelu", return_sequences=True))
    one(f"Bidirectional-{_name}", SIGNAL, lambda n=_name: L.Bidirectional(getattr(L, n)(4)))
    one(
        f"Bidirectional-{_name}-sequences",
        SIGNAL,
        lambda n=_name: L.Bidirectional(getattr(L, n)(4, return_sequences=True), merge_mode="sum"),
    )
one("LSTM-hard", SIGNAL, lambda: L.LSTM(4, recurrent_activation="hard_sigmoid"))
one("GRU-before", SIGNAL, lambda: L.GRU(4, reset_after=False))
one("GRU-before-silu", SIGNAL, lambda: L.GRU(4, reset_after=False, activation="silu"))
one("Bidirectional-none", SIGNAL, lambda: L.Bidirectional(L.LSTM(4, return_sequences=True), merge_mode=None))
one("Bidirectional-state", SIGNAL, lambda: L.Bidirectional(L.LSTM(4, return_state=True), merge_mode="mul"))
one("Bidirectional-ave", SIGNAL, lambda: L.Bidirectional(L.GRU(4), merge_mode="ave"))
one("Bidirectional-gelu", SIGNAL, lambda: L.Bidirectional(L.GRU(4, activation="gelu", return_sequences=True)))
one("RNN", SIGNAL, lambda: L.RNN(L.LSTMCell(4), return_sequences=True))
one("RNN-stacked", SIGNAL, lambda: L.RNN(L.StackedRNNCells([L.LSTMCell(4), L.GRUCell(3), L.GRUCell(5)])))
one("RNN-simple", SIGNAL, lambda: L.RNN(L.SimpleRNNCell(4), go_backwards=True, return_sequences=True))
one("ConvLSTM1D", (4, 7, 3), lambda: L.ConvLSTM1D(2, 3, return_sequences=True))
one("ConvLSTM2D", (4, 7, 6, 3), lambda: L.ConvLSTM2D(2, 3, padding="same", strides=2))
one("ConvLSTM2D-state", (4, 7, 6, 3), lambda: L.ConvLSTM2D(2, 3, return_state=True, go_backwards=True))
one("ConvLSTM2D-first", (4, 3, 7, 6), lambda: L.ConvLSTM2D(2, 3, data_format=CF, return_sequences=True))
one("ConvLSTM3D", (2, 4, 5, 4, 2), lambda: L.ConvLSTM3D(2, 2))
one("TimeDistributed", (4, 7, 6, 3), lambda: L.TimeDistributed(L.Conv2D(2, 3)))
one("TimeDistributed-dense", (None, 6), lambda: L.TimeDistributed(L.Dense(4)))
one("TimeDistributed-nested", (4, 5, 6), lambda: L.TimeDistributed(L.LSTM(3)))


def _initial() -> Any:
    x, h, c = keras.Input((5, 6)), keras.Input((4,)), keras.Input((4,))
    return keras.Model([x, h, c], L.LSTM(4, return_sequences=True)(x, initial_state=[h, c]))


graph("LSTM-initial", _initial)


def _masked(make: Callable[[], Any], embedding: bool = False) -> Callable[[], Any]:
    def build() -> Any:
        if embedding:
            x = keras.Input((7,), dtype="int32")
            y = L.Embedding(5, 6, mask_zero=True)(x)
        else:
            x = keras.Input((7,), dtype="int32")
            kept = L.Embedding(5, 6, mask_zero=True)(x)
            y = L.Dense(6)(kept)
        return keras.Model(x, make()(y))

    return build


for _name in ("LSTM", "GRU", "SimpleRNN"):
    graph(f"Masked-{_name}", _masked(lambda n=_name: getattr(L, n)(4)))
    graph(f"Masked-{_name}-sequences", _masked(lambda n=_name: getattr(L, n)(4, return_sequences=True)))
    graph(
        f"Masked-{_name}-back",
        _masked(lambda n=_name: getattr(L, n)(4, return_sequences=True, go_backwards=True)),
    )
graph("Masked-Bidirectional", _masked(lambda: L.Bidirectional(L.LSTM(4, return_sequences=True)), True))
graph("Masked-Bidirectional-last", _masked(lambda: L.Bidirectional(L.GRU(4)), True))
graph("Masked-RNN-stacked", _masked(lambda: L.RNN(L.StackedRNNCells([L.LSTMCell(4), L.GRUCell(3)]))))
graph("Masked-average", _masked(lambda: L.GlobalAveragePooling1D(), True))
graph("Masked-zero", _masked(lambda: L.LSTM(4, return_sequences=True, zero_output_for_mask=True), True))


def _masking_layer() -> Any:
    x = keras.Input((6, 3))
    y = L.Masking(0.0)(L.ReLU(threshold=1.2)(x))
    return keras.Model(x, L.GRU(4)(L.Dropout(0.2)(y)))


graph("Masking-GRU", _masking_layer)


def _masked_merge(make: Callable[[], Any]) -> Callable[[], Any]:
    def build() -> Any:
        a, b = keras.Input((5,), dtype="int32"), keras.Input((5,), dtype="int32")
        table = L.Embedding(5, 4, mask_zero=True)
        return keras.Model([a, b], L.LSTM(3)(make()([table(a), table(b)])))

    return build


graph("Masked-Add", _masked_merge(L.Add))
graph("Masked-Concatenate", _masked_merge(L.Concatenate))
graph("Masked-Concatenate-time", _masked_merge(lambda: L.Concatenate(axis=1)))


# attention
def _attention(make: Callable[[], Any], shapes: Any = ((5, 6), (7, 6)), **kwargs: Any) -> Callable[[], Any]:
    def build() -> Any:
        inputs = [keras.Input(s) for s in shapes]
        made = make()
        listed = type(made).__name__ in ("Attention", "AdditiveAttention")
        return keras.Model(inputs, made(inputs, **kwargs) if listed else made(*inputs, **kwargs))

    return build


graph("Attention", _attention(lambda: L.Attention()))
graph("Attention-scale", _attention(lambda: L.Attention(use_scale=True), use_causal_mask=True))
graph("Attention-concat", _attention(lambda: L.Attention(use_scale=True, score_mode="concat")))
graph(
    "Attention-key", _attention(lambda: L.Attention(), ((5, 6), (7, 4), (7, 6)), return_attention_scores=True)
)
graph("AdditiveAttention", _attention(lambda: L.AdditiveAttention()))
graph(
    "AdditiveAttention-plain", _attention(lambda: L.AdditiveAttention(use_scale=False), use_causal_mask=True)
)
graph("MultiHeadAttention", _attention(lambda: L.MultiHeadAttention(2, 3)))
graph("MultiHeadAttention-value", _attention(lambda: L.MultiHeadAttention(2, 3, value_dim=5, use_bias=False)))
graph(
    "MultiHeadAttention-scores", _attention(lambda: L.MultiHeadAttention(2, 3), return_attention_scores=True)
)
graph(
    "MultiHeadAttention-causal",
    _attention(lambda: L.MultiHeadAttention(2, 3), ((5, 6), (5, 6)), use_causal_mask=True),
)
graph(
    "MultiHeadAttention-key",
    _attention(lambda: L.MultiHeadAttention(2, 3, output_shape=4), ((5, 6), (7, 4), (7, 6))),
)
graph(
    "MultiHeadAttention-dynamic",
    _attention(lambda: L.MultiHeadAttention(2, 3), ((None, 6), (None, 6)), use_causal_mask=True),
)
graph(
    "MultiHeadAttention-4d",
    _attention(lambda: L.MultiHeadAttention(2, 3, attention_axes=(1, 2)), ((3, 4, 6), (3, 4, 6))),
)
graph(
    "MultiHeadAttention-4d-one",
    _attention(lambda: L.MultiHeadAttention(2, 3, attention_axes=(2,)), ((3, 4, 6), (3, 4, 6))),
)
graph("MultiHeadAttention-gate", _attention(lambda: L.MultiHeadAttention(2, 3, use_gate=True)))
graph(
    "MultiHeadAttention-window",
    _attention(lambda: L.MultiHeadAttention(2, 3, sliding_window=2), ((5, 6), (5, 6))),
)
graph("GroupQueryAttention", _attention(lambda: L.GroupQueryAttention(4, 4, 2)))
graph(
    "GroupQueryAttention-causal",
    _attention(lambda: L.GroupQueryAttention(4, 4, 1, use_bias=False), use_causal_mask=True),
)
graph(
    "GroupQueryAttention-gate",
    _attention(lambda: L.GroupQueryAttention(4, 4, 2, use_gate=True), return_attention_scores=True),
)


def _masked_attention() -> Any:
    x = keras.Input((7,), dtype="int32")
    y = L.Embedding(5, 6, mask_zero=True)(x)
    return keras.Model(x, L.GlobalAveragePooling1D()(L.MultiHeadAttention(2, 3)(y, y)))


graph("Masked-MultiHeadAttention", _masked_attention)


def _given_mask() -> Any:
    x, m = keras.Input((5, 6)), keras.Input((5, 5), dtype="bool")
    return keras.Model([x, m], L.MultiHeadAttention(2, 3)(x, x, attention_mask=m))


graph("MultiHeadAttention-mask", _given_mask)


def _softmax_mask() -> Any:
    x, m = keras.Input((5, 6)), keras.Input((5, 6), dtype="bool")
    return keras.Model([x, m], L.Softmax()(x, mask=m))


graph("Softmax-mask", _softmax_mask)
graph("ReversibleEmbedding", lambda: _reversible(True))
graph("ReversibleEmbedding-untied", lambda: _reversible(False))


def _reversible(tied: bool) -> Any:
    x = keras.Input((7,), dtype="int32")
    table = L.ReversibleEmbedding(5, 4, tie_weights=tied, logit_soft_cap=3.0)
    return keras.Model(x, table(L.Dense(4)(table(x)), reverse=True))
