"""Google's own SQL analyzer and evaluator, compiled to WebAssembly: what BigQuery answers, without the cloud.

The package ``zetasql`` brings the module. It is compiled once a machine (half a minute of one processor) and kept in
wasmtime's own cache; after that it loads in two seconds. Requests go to it as protocol buffers, because the package's
wrappers copy byte by byte.
"""

from __future__ import annotations

import ctypes
import datetime
import math
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlglot
from filelock import FileLock
from google.protobuf.message import Message
from sqlglot import exp
from wasmtime import Config, Engine, Func, Linker, Module, SharedMemory, Store, WasiConfig
from zetasql.core.exceptions import ServerError
from zetasql.core.wasm_client import WasmClient, get_tzinfo_dir
from zetasql.wasi import get_wasm_path
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as service
from zetasql.wasi._pb2.zetasql.proto import function_pb2, options_pb2
from zetasql.wasi._pb2.zetasql.public import function_pb2 as function_enums
from zetasql.wasi._pb2.zetasql.public import options_pb2 as option_enums
from zetasql.wasi._pb2.zetasql.public import type_pb2, value_pb2

GoogleSQLError = ServerError
Row = dict[str, Any]
_KINDS = {
    "STRING": type_pb2.TYPE_STRING,
    "INT64": type_pb2.TYPE_INT64,
    "FLOAT64": type_pb2.TYPE_DOUBLE,
    "BOOL": type_pb2.TYPE_BOOL,
    "DATE": type_pb2.TYPE_DATE,
    "TIMESTAMP": type_pb2.TYPE_TIMESTAMP,
}
_FIELDS = {
    type_pb2.TYPE_STRING: "string_value",
    type_pb2.TYPE_INT64: "int64_value",
    type_pb2.TYPE_DOUBLE: "double_value",
    type_pb2.TYPE_BOOL: "bool_value",
}
_FIRST_DAY = datetime.date(1970, 1, 1)
_FIRST_MOMENT = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
# Functions of sql/functions/ are expanded where they are called, as BigQuery does it.
_FUNCTION_GROUP = "Templated_SQL_Function"


class _Client(WasmClient):  # type: ignore[misc]  # its package has no types
    """The package's client with a cache of what was compiled, and memory copied in one piece."""

    def __init__(self) -> None:
        system = WasiConfig()
        system.inherit_stderr()
        system.preopen_dir(get_tzinfo_dir(), "/usr/share/zoneinfo")
        config = Config()
        config.shared_memory = True
        config.cache = True
        # Code that runs for seconds is not worth minutes of optimization.
        config.cranelift_opt_level = "none"
        engine = Engine(config)
        self.store = Store(engine)
        self.store.set_wasi(system)
        with FileLock(Path(tempfile.gettempdir()) / "holley_assets_zetasql.lock"):
            self.module = Module.from_file(engine, str(get_wasm_path()))
        linker = Linker(engine)
        linker.define_wasi()
        self.instance = linker.instantiate(self.store, self.module)
        self.exports = self.instance.exports(self.store)
        initialize, memory = self.exports["_initialize"], self.exports["memory"]
        assert isinstance(initialize, Func) and isinstance(memory, SharedMemory)
        initialize(self.store)
        self.memory = memory

    def write_bytes(self, ptr: int, data: bytes) -> None:
        ctypes.memmove(self._address() + ptr, data, len(data))

    def read_bytes(self, ptr: int, size: int) -> bytes:
        return ctypes.string_at(self._address() + ptr, size)

    def _address(self) -> int:
        return ctypes.addressof(self.memory.data_ptr().contents)


class GoogleSQL:
    """One evaluator. Tables are given with each query; nothing is kept between queries."""

    def __init__(self) -> None:
        self._client = _Client()
        self._language = self._client.call_grpc_func(
            "ZetaSqlLocalService_GetLanguageOptions",
            service.LanguageOptionsRequest(maximum_features=True),
            options_pb2.LanguageOptionsProto,
        )
        # The names of types as BigQuery has them.
        self._language.product_mode = option_enums.PRODUCT_EXTERNAL
        self._searches: list[Message] = []

    def describe_vector_search(self, base: pa.Schema, query: pa.Schema) -> None:
        """Let the statements that follow call VECTOR_SEARCH, which BigQuery adds to the language.

        Args:
            base: columns of the table that is searched; the answer has them in column ``base``.
            query: columns of the vectors that are searched for.
        """
        self._searches = [_vector_search(base, query)]

    def rows(
        self,
        select: str,
        *,
        functions: Iterable[str] = (),
        tables: Mapping[str, pa.Table] | None = None,
        parameters: Mapping[str, object] | None = None,
    ) -> list[Row]:
        """Rows of ``select``.

        Args:
            functions: CREATE TEMP FUNCTION statements that it needs.
            tables: by the name that stands between backquotes.

        Raises:
            GoogleSQLError: it is not valid for these tables and parameters, or a value of it is an error.
        """
        request = service.EvaluateQueryRequest(sql=select)
        types = {name: parameter_type(value) for name, value in (parameters or {}).items()}
        columns = {name: arrow_columns(table.schema) for name, table in (tables or {}).items()}
        self._describe(request, functions, columns, types)
        for name, value in (parameters or {}).items():
            request.params.add(name=name, value=_to_proto(value, types[name]))
        for name, table in (tables or {}).items():
            content = request.table_content[name].table_data
            content.SetInParent()
            kinds = columns[name].values()
            for row in table.to_pylist():
                cells = [_to_proto(value, kind) for value, kind in zip(row.values(), kinds, strict=True)]
                content.row.add(cell=cells)
        answer = self._call("EvaluateQuery", request, service.EvaluateQueryResponse)
        kinds_of = [(column.name, column.type) for column in answer.prepared.columns]
        return [
            {name: _from_proto(cell, kind) for (name, kind), cell in zip(kinds_of, row.cell, strict=True)}
            for row in answer.content.table_data.row
        ]

    def columns(
        self,
        select: str,
        *,
        functions: Iterable[str] = (),
        tables: Mapping[str, Mapping[str, Message]],
        parameters: Mapping[str, Message],
    ) -> dict[str, Message]:
        """Name and type of each column that ``select`` has, by analysis alone.

        Raises:
            GoogleSQLError: it is not valid.
        """
        request = service.PrepareQueryRequest(sql=select)
        self._describe(request, functions, tables, parameters)
        answer = self._call("PrepareQuery", request, service.PrepareQueryResponse)
        done = service.UnprepareQueryRequest(prepared_query_id=answer.prepared.prepared_query_id)
        self._client.call_grpc_func("ZetaSqlLocalService_UnprepareQuery", done)
        return {column.name: column.type for column in answer.prepared.columns}

    def _describe(
        self,
        request: Any,
        functions: Iterable[str],
        tables: Mapping[str, Mapping[str, Message]],
        parameters: Mapping[str, Message],
    ) -> None:
        request.options.language_options.CopyFrom(self._language)
        request.options.default_timezone = "UTC"
        for name, kind in parameters.items():
            request.options.query_parameters.add(name=name, type=kind)
        catalog = request.simple_catalog
        catalog.name = "warehouse"
        catalog.builtin_function_options.language_options.CopyFrom(self._language)
        for number, (name, columns) in enumerate(tables.items(), start=1):
            table = catalog.table.add(name=name, name_in_catalog=name, serialization_id=number)
            for column, kind in columns.items():
                table.column.add(name=column, type=kind)
        catalog.custom_function.extend(map(_function, functions))
        catalog.custom_tvf.extend(self._searches)

    def _call(self, name: str, request: Message, response: type[Message]) -> Any:
        return self._client.call_grpc_func(f"ZetaSqlLocalService_{name}", request, response)


def sql_type(name: str) -> Message:
    """A plain type by BigQuery's name for it."""
    return type_pb2.TypeProto(type_kind=_KINDS[name])


def parameter_type(value: object) -> Message:
    """The type that BigQuery's client gives to a parameter of this value."""
    for python_type, name in (
        (bool, "BOOL"),
        (int, "INT64"),
        (float, "FLOAT64"),
        (str, "STRING"),
        (datetime.datetime, "TIMESTAMP"),
        (datetime.date, "DATE"),
    ):
        if isinstance(value, python_type):
            return sql_type(name)
    raise TypeError(f"no parameter type for {value!r}")


def arrow_columns(schema: pa.Schema) -> dict[str, Message]:
    """Columns of an Arrow table as GoogleSQL types."""
    return {field.name: _arrow_type(field.type) for field in schema}


def _arrow_type(kind: pa.DataType) -> Message:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        element = type_pb2.ArrayTypeProto(element_type=_arrow_type(kind.value_type))
        return type_pb2.TypeProto(type_kind=type_pb2.TYPE_ARRAY, array_type=element)
    if pa.types.is_struct(kind):
        fields = [
            type_pb2.StructFieldProto(field_name=field.name, field_type=_arrow_type(field.type))
            for field in kind
        ]
        return type_pb2.TypeProto(
            type_kind=type_pb2.TYPE_STRUCT, struct_type=type_pb2.StructTypeProto(field=fields)
        )
    for is_kind, name in (
        (pa.types.is_string, "STRING"),
        (pa.types.is_large_string, "STRING"),
        (pa.types.is_integer, "INT64"),
        (pa.types.is_floating, "FLOAT64"),
        (pa.types.is_boolean, "BOOL"),
        (pa.types.is_date, "DATE"),
        (pa.types.is_timestamp, "TIMESTAMP"),
    ):
        if is_kind(kind):
            return sql_type(name)
    raise TypeError(f"no GoogleSQL type for {kind}")


def _to_proto(value: Any, kind: Any) -> Message:
    proto = value_pb2.ValueProto()
    if value is None:
        return proto
    if kind.type_kind in _FIELDS:
        setattr(proto, _FIELDS[kind.type_kind], value)
    elif kind.type_kind == type_pb2.TYPE_DATE:
        proto.date_value = (value - _FIRST_DAY).days
    elif kind.type_kind == type_pb2.TYPE_TIMESTAMP:
        microseconds = (value - _FIRST_MOMENT) // _MICROSECOND
        proto.timestamp_value.seconds = microseconds // 10**6
        proto.timestamp_value.nanos = microseconds % 10**6 * 1000
    elif kind.type_kind == type_pb2.TYPE_ARRAY:
        proto.array_value.SetInParent()
        proto.array_value.element.extend(_to_proto(each, kind.array_type.element_type) for each in value)
    else:
        proto.struct_value.SetInParent()
        proto.struct_value.field.extend(
            _to_proto(value[field.field_name], field.field_type) for field in kind.struct_type.field
        )
    return proto


def _from_proto(proto: Any, kind: Any) -> Any:
    held = proto.WhichOneof("value")
    if held is None:
        return None
    if kind.type_kind == type_pb2.TYPE_DATE:
        return _FIRST_DAY + datetime.timedelta(days=proto.date_value)
    if kind.type_kind == type_pb2.TYPE_TIMESTAMP:
        moment = proto.timestamp_value
        return _FIRST_MOMENT + datetime.timedelta(seconds=moment.seconds, microseconds=moment.nanos // 1000)
    if kind.type_kind == type_pb2.TYPE_ARRAY:
        return [_from_proto(each, kind.array_type.element_type) for each in proto.array_value.element]
    if kind.type_kind == type_pb2.TYPE_STRUCT:
        return {
            field.field_name: _from_proto(each, field.field_type)
            for each, field in zip(proto.struct_value.field, kind.struct_type.field, strict=True)
        }
    return getattr(proto, held)


def _function(text: str) -> Message:
    """A CREATE TEMP FUNCTION statement as an entry of the catalog."""
    tree = sqlglot.parse_one(text, read="bigquery")
    definition = tree.find(exp.UserDefinedFunction)
    assert definition is not None
    function = function_pb2.FunctionProto(name_path=[definition.this.name], group=_FUNCTION_GROUP)
    function.mode = function_enums.FunctionEnums.SCALAR
    signature = function.signature.add()
    for parameter in definition.expressions:
        function.templated_sql_function_argument_name.append(parameter.name)
        signature.argument.add(
            kind=function_enums.ARG_TYPE_FIXED,
            type=sql_type(parameter.args["kind"].sql(dialect="bigquery")),
            num_occurrences=-1,
        )
    signature.return_type.kind = function_enums.ARG_TYPE_ARBITRARY
    signature.return_type.num_occurrences = -1
    body = re.search(r"\bAS \((.*)\);?\s*$", text, re.DOTALL)
    assert body is not None
    function.parse_resume_location.input = body[1].strip()
    return function


def _vector_search(base: pa.Schema, query: pa.Schema) -> Message:
    """VECTOR_SEARCH as BigQuery documents it: two tables with the name of a column each, and two named arguments."""
    function = function_pb2.TableValuedFunctionProto(
        name_path=["VECTOR_SEARCH"], type=function_enums.FunctionEnums.FIXED_OUTPUT_SCHEMA_TVF
    )
    for _ in range(2):
        function.signature.argument.add(kind=function_enums.ARG_TYPE_RELATION, num_occurrences=1)
        _argument(function.signature, "STRING")
    _argument(function.signature, "INT64", "top_k")
    _argument(function.signature, "STRING", "distance_type")
    answer = function.signature.return_type
    answer.kind, answer.num_occurrences = function_enums.ARG_TYPE_RELATION, 1
    for name, schema in (("query", query), ("base", base)):
        kind = _arrow_type(pa.struct(list(schema)))
        answer.options.relation_input_schema.column.add(name=name, type=kind)
    answer.options.relation_input_schema.column.add(name="distance", type=sql_type("FLOAT64"))
    return function


def _argument(signature: Any, kind: str, name: str | None = None) -> None:
    argument = signature.argument.add(
        kind=function_enums.ARG_TYPE_FIXED, type=sql_type(kind), num_occurrences=1
    )
    if name is not None:
        argument.options.argument_name = name
        argument.options.named_argument_kind = function_enums.FunctionEnums.NAMED_ONLY


def same_value(one: object, other: object) -> bool:
    """Whether two values are the same: floats to the last four bits, not a number like itself."""
    if isinstance(one, float) and isinstance(other, float):
        if math.isnan(one) or math.isnan(other):
            return math.isnan(one) and math.isnan(other)
        return one == other or math.isclose(one, other, rel_tol=1e-14)
    return type(one) is type(other) and one == other
