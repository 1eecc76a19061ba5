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
    11004: ("Access token is malformed.", "您的 access_token 格式不正确，请通过 oauth/authorize 接口获取 token"),
    11005: ("Access token is empty.", "access_token 为必填字段，请传入正确的 access_token"),
    11007: ("The client_id is invalid.", "应用 id 无效，请检查 access_token 正确性。"),
    11008: ("Application request limit has been exceeded.", "该应用的请求次数已达限制，请稍后重试"),
    11010: ("Refresh token is malformed.", "refresh_token 格式错误，请检查 refresh_token 正确性。"),
    11011: ("Authorization code is malformed.", "授权码格式错误，请检查 authorization_code 正确性。"),
    11012: ("Refresh token is expired.", "refresh_token 过期，请重新发起授权流程"),
    11014: (
        "The API you requested is out of the scope of authority.",
        "您请求的接口超出了授权范围，请在开发者开通对应权限后，重新发起授权",
    ),
    11016: ("Application has reached the request limit per second.", "应用程序已达到每秒的请求限制，请稍后再试"),
    11017: ("Application has reached the request limit per minute.", "应用请求已达分钟频次上限"),
    11018: ("Application has reached the request limit per day.", "应用请求已达天频次上限，请 1 天后重试"),
    11019: ("Your request is much too frequent.", "您的请求过于频繁或主体/开发者的频控已达到上限"),
    11030: (
        "The Access_Token you are currently using has a permanent validity period, which poses a security risk.",
        "您当前使用的 Access_Token 有效期为永久，存在安全风险",
    ),
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
    12203: (
        "The resource owner is not permitted to operate this 'account_id'.",
        "资源所有者未允许操作此帐号 id，请确认当前 token 是否具有操作此 account_id 的权限。",
    ),
    12700: (
        "The resource you specified is being modified. Please try again later.",
        "其他请求正在同时更新你请求的资源，为了保证数据一致性，请稍后重试",
    ),
    18001: ("Your request is missing a required parameter. The required parameter is '{}'.", "缺失必填参数{}"),
    18002: ("Parameter '{}' must be {} .", "参数{}必须是{}类型"),
    18003: (
        "The value you specified for '{}' is invalid. Valid values must be not greater than {}.",
        "参数{}需不大于{}",
    ),
    18004: ("The value you specified for '{}' is invalid. Valid values must be not less than {} .", "参数{}需不小于{}"),
    18009: ("Parameter '{}' must be one of the following values: [{}].", "参数{}的取值需在[{}]中"),
    18012: (
        "Your request contains too few values for '{}'. This parameter must have a minimum of {} value(s).",
        "您的请求包含的{}值太少，此参数最少可包含{}值",
    ),
    31002: ("Parameter '{}' must be {}.", "参数{}取值范围是{}"),
    31057: ("Parameter '{}' cannot be earlier than '{}'", "参数'{}'不能早于'{}'"),
    32211: ("The advertiser is inactive.", "广告主帐号当前不可用，请确认当前广告主状态是否正确"),
    51001: (
        "We are unable to process your request fetching reports at this time. Please retry your request in one minute.",
        "抱歉暂时无法处理您的请求，请稍后再试。",
    ),
    60000: (
        "We are unable to process your request at this time. Please retry your request.",
        "我们目前无法处理您的请求。",
    ),
    60001: ("The source of your request is illegal, please confirm.", "调用方没有权限"),
    60002: ("The account does not exist, please check the account.", "账户不存在"),
    60003: ("Account role is incorrect, please check account.", "账户角色不正确"),
    60005: ("A system frequency limit has been exceeded.", "请求频率超出限制"),
    60007: ("Failed to get leads, please try again.", "获取线索失败"),
    60012: ("Parameter error, exceeding page size.", "参数错误，超出页数大小"),
    60013: ("Parameter error, exceeding single page query size.", "参数错误，超出单页查询大小"),
    60022: (
        "Parameter error, the depth of page turning data exceeds the maximum limit.",
        "参数错误，深度翻页数据超过了最大的限制",
    ),
    60073: ("Parameter error, the format of {} is wrong.", "参数错误，{}格式错误"),
    60081: ("参数错误，当前应用未授权外呼功能，请联系运营", "参数错误，当前应用未授权外呼功能，请联系运营"),
    64015: ("The advertiser is inactive.", "广告主帐号当前不可用，请确认当前广告主状态是否正确"),
    64016: ("Request limit reached. Please retry after one minute.", "已达到请求限制。请在一分钟后重试。"),
    71003: (
        "The API can only be used by a customer organization account.",
        "接口仅支持客户工作台组织 id 调用，请确保 token 为 3.0 组织 id 的 token",
    ),
    80008: ("uid is in blacklist", "账号在黑名单"),
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
