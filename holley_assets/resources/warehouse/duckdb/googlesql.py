"""GoogleSQL's functions where DuckDB's functions of the same name answer otherwise.

Each is a macro over DuckDB's own functions; a query gets those that it calls. ``tests/sql/test_googlesql.py`` compares
them with Google's own evaluator.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp

# Unicode's property White_Space.
_WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
)
# Letters whose capital is several letters, such as ß. DuckDB changes letter for letter.
_LONG_CAPITALS = {chr(code): chr(code).upper() for code in range(0x80, 0x10000) if len(chr(code).upper()) > 1}
_CASED = r"\p{Lu}\p{Ll}\p{Lt}"
_IGNORED = r"\p{Mn}\p{Me}\p{Cf}\p{Lm}\p{Sk}'.:·’‘"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_CAPITALS = "MAP {" + ", ".join(f"{_literal(a)}: {_literal(b)}" for a, b in _LONG_CAPITALS.items()) + "}"

# Plain text, nearly all that there is, takes the shortest way. Conditions on typeof() are decided by the planner.
_MACROS = {
    "googlesql_trim": f"""(value) AS
        CASE
            WHEN ord(value) BETWEEN 33 AND 126 AND value[-1] BETWEEN '!' AND '~' THEN value
            ELSE trim(value, {_literal(_WHITE_SPACE)})
        END""",
    "googlesql_upper": f"""(value) AS
        CASE
            WHEN strlen(value) = length(value) THEN upper(value)
            WHEN regexp_matches(value, '[{"".join(_LONG_CAPITALS)}]') THEN array_to_string(
                list_transform(
                    string_split(value, ''), lambda letter: coalesce({_CAPITALS}[letter], upper(letter))
                ),
                ''
            )
            ELSE upper(value)
        END""",
    # A capital sigma at the end of a word has a small letter of its own.
    "googlesql_lower": f"""(value) AS
        CASE
            WHEN strlen(value) = length(value) THEN lower(value)
            ELSE lower(
                replace(
                    regexp_replace(
                        value,
                        {_literal(f"([{_CASED}][{_IGNORED}]*)Σ([{_IGNORED}]*(?:$|[^{_CASED}{_IGNORED}]))")},
                        '\\1ς\\2',
                        'g'
                    ),
                    'İ',
                    'i̇'
                )
            )
        END""",
    "googlesql_int64": """(value) AS
        CASE
            WHEN typeof(value) = 'VARCHAR' THEN CAST(
                CASE
                    WHEN regexp_matches(CAST(value AS VARCHAR), '^\\s*[+-]?([0-9]+|0[xX][0-9a-fA-F]+)\\s*$') THEN value
                    ELSE error('Bad INT64 value: ' || CAST(value AS VARCHAR))
                END AS BIGINT
            )
            WHEN typeof(value) IN ('DOUBLE', 'FLOAT') THEN CAST(round(TRY_CAST(value AS DOUBLE)) AS BIGINT)
            ELSE CAST(value AS BIGINT)
        END""",
    "googlesql_safe_int64": """(value) AS
        CASE
            WHEN typeof(value) = 'VARCHAR' THEN TRY_CAST(
                CASE
                    WHEN regexp_matches(CAST(value AS VARCHAR), '^\\s*[+-]?([0-9]+|0[xX][0-9a-fA-F]+)\\s*$') THEN value
                END AS BIGINT
            )
            WHEN typeof(value) IN ('DOUBLE', 'FLOAT') THEN TRY_CAST(round(TRY_CAST(value AS DOUBLE)) AS BIGINT)
            ELSE TRY_CAST(value AS BIGINT)
        END""",
    "googlesql_string": """(value) AS
        CASE
            WHEN typeof(value) IN ('DOUBLE', 'FLOAT') THEN
                CASE
                    WHEN isnan(TRY_CAST(value AS DOUBLE)) OR isinf(TRY_CAST(value AS DOUBLE))
                        THEN CAST(value AS VARCHAR)
                    WHEN CAST(printf('%.15g', TRY_CAST(value AS DOUBLE)) AS DOUBLE) = TRY_CAST(value AS DOUBLE)
                        THEN printf('%.15g', TRY_CAST(value AS DOUBLE) + 0)
                    ELSE printf('%.17g', TRY_CAST(value AS DOUBLE))
                END
            ELSE CAST(value AS VARCHAR)
        END""",
    "googlesql_safe_date": """(value) AS
        CASE
            WHEN typeof(value) != 'VARCHAR' THEN TRY_CAST(value AS DATE)
            WHEN regexp_matches(CAST(value AS VARCHAR), '^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}$')
                AND TRY_CAST(value AS DATE) >= DATE '0001-01-01'
                THEN TRY_CAST(value AS DATE)
        END""",
    "googlesql_exp": """(value) AS
        CASE
            WHEN isinf(exp(value)) AND NOT isinf(value)
                THEN error('Floating point error in function: EXP(' || value || ')')
            ELSE exp(value)
        END""",
    "googlesql_divisor": """(value) AS
        CASE WHEN value = 0 THEN error('division by zero') ELSE value END""",
}
_CASTS = {
    "BIGINT": "int64",
    "safe_BIGINT": "safe_int64",
    "TEXT": "string",
    "safe_TEXT": "string",
    "safe_DATE": "safe_date",
}
_CALL = re.compile(r"\b(googlesql_\w+)\(", re.IGNORECASE)


def macro_call(node: exp.Expr, rewrite: Callable[[exp.Expr], exp.Expr]) -> exp.Expr | None:
    """The call of a macro that stands for ``node``; None where DuckDB's own function will do.

    Args:
        rewrite: translates what the node is made of.
    """
    name, value = _macro_of(node)
    if not name:
        return None
    call = _call(name, value, rewrite)
    if isinstance(node, exp.Div):
        return exp.Div(this=node.this.transform(rewrite), expression=call, typed=node.args.get("typed"))
    return call


def _macro_of(node: exp.Expr) -> tuple[str, exp.Expr]:
    """Name of the macro for ``node``, empty where there is none, and what it is given."""
    if isinstance(node, exp.Trim) and node.expression is None and not node.args.get("position"):
        return "trim", node.this
    if isinstance(node, (exp.Upper, exp.Lower, exp.Exp)):
        return node.key, node.this
    if isinstance(node, exp.Cast):
        safe = "safe_" if isinstance(node, exp.TryCast) else ""
        name = _CASTS.get(f"{safe}{node.to.this.name}", "")
        return name, node.this
    # A number that is written out is not zero, and a call was put there by this function.
    if isinstance(node, exp.Div) and not isinstance(node.expression, (exp.Literal, exp.Anonymous)):
        return "divisor", node.expression
    return "", node


def called_macros(*texts: str) -> tuple[str, ...]:
    """Statements that create the macros which ``texts`` call."""
    called = {name.lower() for text in texts for name in _CALL.findall(text)}
    return tuple(f"CREATE TEMP MACRO {name}{body}" for name, body in _MACROS.items() if name in called)


def _call(name: str, value: exp.Expr, rewrite: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    return exp.Anonymous(this=f"googlesql_{name}", expressions=[value.transform(rewrite)])
