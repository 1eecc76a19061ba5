# ruff: noqa: RUF001 - `message_cn` is Chinese, punctuation included
"""The return codes that the sandbox answers with, in the words of the official table.

Source: developers.e.qq.com/v3.0/docs/errors. Which code answers which mistake of this endpoint is not documented: for
each mistake the closest one of the table is taken.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

_MESSAGES: Final[Mapping[int, tuple[str, str]]] = {
    10000: ("We are unable to process your request at this time. Please retry your request.", "系统繁忙，请稍后重试"),
    11000: ("Access token is expired.", "您的 access_token 已过期，请通过 oauth/token 接口获取最新 token"),
    11002: ("Access token is invalid.", "您的 access_token 无效，请通过 oauth/authorize 接口获取 token。"),
    11005: ("Access token is empty.", "access_token 为必填字段，请传入正确的 access_token"),
    11016: ("Application has reached the request limit per second.", "应用程序已达到每秒的请求限制，请稍后再试"),
    11017: ("Application has reached the request limit per minute.", "应用请求已达分钟频次上限"),
    11018: ("Application has reached the request limit per day.", "应用请求已达天频次上限，请 1 天后重试"),
    12000: (
        "Your request is missing a required parameter which is one of access_token, timestamp and nonce.",
        "您的请求缺少必须参数：access_token,timestamp,nonce",
    ),
    12003: ("JSON string is malformed.", "JSON 字符串格式错误，请调整参数后重试"),
    12007: ("The API you requested is unknown. Please check your URL and http method.", "您请求未知的接口"),
    12008: ("Parameter 'fields' must be array.", "参数 fields 必须为数组，请调整参数后重试"),
    12009: (
        "Tried accessing nonexisting field in the parameter 'fields' you provided.",
        "参数 fields 中有不存在的字段",
    ),
    12100: ("The nonce has been used before.", "nonce 已被使用，请更换 nonce"),
    12101: ("The timestamp is expired.", "时间戳过期，请确认发起请求时的 timestamp 字段赋值逻辑"),
    12201: ("Parameter 'account_id' is invalid.", "account_id 参数无效，请校验当前 token 是否具有操作权限。"),
    18001: ("Your request is missing a required parameter. The required parameter is '{}'.", "缺失必填参数{}"),
    18002: ("Parameter '{}' must be {} .", "参数{}必须是{}类型"),
    18003: (
        "The value you specified for '{}' is invalid. Valid values must be not greater than {}.",
        "参数{}需不大于{}",
    ),
    18004: ("The value you specified for '{}' is invalid. Valid values must be not less than {} .", "参数{}需不小于{}"),
    31002: ("Parameter '{}' must be {}.", "参数{}取值范围是{}"),
    31057: ("Parameter '{}' cannot be earlier than '{}'", "参数'{}'不能早于'{}'"),
    32211: ("The advertiser is inactive.", "广告主帐号当前不可用，请确认当前广告主状态是否正确"),
    60002: ("The account does not exist, please check the account.", "账户不存在"),
    60003: ("Account role is incorrect, please check account.", "账户角色不正确"),
    60012: ("Parameter error, exceeding page size.", "参数错误，超出页数大小"),
    60013: ("Parameter error, exceeding single page query size.", "参数错误，超出单页查询大小"),
    60022: (
        "Parameter error, the depth of page turning data exceeds the maximum limit.",
        "参数错误，深度翻页数据超过了最大的限制",
    ),
    60073: ("Parameter error, the format of {} is wrong.", "参数错误，{}格式错误"),
}
_UNKNOWN: Final = ("We are unable to process your request.", "暂时无法处理您的请求")
_SYSTEM: Final = frozenset({10000, 10001, 51001, 60000, 60007, 62000, 1000000, 1000002, *range(30000, 30100)})
"""Codes of the kind `SysException`: the API is busy, not the caller wrong (documented for 300xx)."""
_PLACES: Final = 2
"""The most values that a text has places for."""


def messages(code: int, values: Sequence[object]) -> tuple[str, str]:
    """`message` and `message_cn` of a code, with the values that its text has places for."""
    message, message_cn = _MESSAGES.get(code, _UNKNOWN)
    filled = (*values, *("…" for _ in range(_PLACES - len(values))))
    return message.format(*filled), message_cn.format(*filled)


def code_type(code: int) -> Literal["SysException", "BusinessException"]:
    """Whether the API is busy or the caller wrong, as the envelope says it (documented)."""
    return "SysException" if code in _SYSTEM else "BusinessException"
