"""The accounts that a grant lists, and what a list says of each: seeded, as the world is."""

from typing import Final

from harvester.model import AccountId
from harvester.sandbox.grants import Grant
from harvester.sandbox.world import World, chance

STATUSES: Final = tuple(
    f"CUSTOMER_STATUS_{name}"
    for name in (
        "NORMAL", "PENDING", "DENIED", "FROZEN", "TOBE_ACCEPTED", "TOBE_ACTIVATED", "SUSPEND", "MATERIAL_PREPARED",
        "DELETED", "FROZEN_TEMPORARILY", "UNREGISTERED",
    )
)  # fmt: skip
"""All values of `system_status`, in the order of the official clients."""
NASTY_NAME: Final = "星河\x1b[31m职业\x1b]0;owned\x07培训\u202e学校"
"""The second account's name: it would colour and retitle a careless terminal, and turn what follows around."""
TELLING_NAME: Final = "老周家电维修 13800001234"
"""The third account's name holds what looks like a mobile number."""
_NORMAL_OF: Final = 8
"""Of so many accounts all but one are in order."""
_CITIES: Final = ("北京", "上海", "广州", "深圳", "成都", "杭州", "武汉", "西安")
_BRANDS: Final = ("晨光", "远帆", "青禾", "云栖", "博雅", "金桥", "恒信", "乐途", "安居", "启明")
_TRADES: Final = ("教育科技", "装饰工程", "汽车销售", "口腔门诊", "财税咨询", "家政服务", "旅行社")
_LATIN: Final = ('Blue Harbour "English" School', "O'Neill & Sons, Ltd.", "Nord/Süd Küchen GmbH", "Kite <Labs> Inc.")


class Roll:
    """Who is listed, in ascending order.

    Args:
        world: All accounts.
        seed: Of names and states.
    """

    __slots__ = ("_hidden", "_odd", "_seed", "_world")

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._seed = seed
        self._hidden: set[AccountId] = set()
        self._odd = dict(zip(world.account_ids[1:], (NASTY_NAME, TELLING_NAME), strict=False))

    def accounts(self, grant: Grant) -> list[AccountId]:
        """The accounts that this grant lists now, ascending."""
        return [
            account_id
            for account_id in self._world.sizes
            if account_id not in self._hidden and (grant.accounts is None or account_id in grant.accounts)
        ]

    def vanish(self, account_id: AccountId) -> None:
        """It is listed no longer; whether its calls can still be read is another matter."""
        self._hidden.add(account_id)

    def appear(self, account_id: AccountId) -> None:
        """It is listed again."""
        self._hidden.discard(account_id)

    def name(self, account_id: AccountId) -> str:
        """Its company's name; three in four are Chinese, the second and the third account's are nasty."""
        if account_id in self._odd:
            return self._odd[account_id]
        luck = chance(self._seed, "name", account_id)
        if luck & 3 == 0:
            return _LATIN[(luck >> 2) % len(_LATIN)]
        parts = (_CITIES, _BRANDS, _TRADES)
        shares = (luck >> 8, luck >> 24, luck >> 40)
        return "".join(names[share % len(names)] for names, share in zip(parts, shares, strict=True)) + "有限公司"

    def status(self, account_id: AccountId) -> str:
        """Its `system_status`."""
        luck = chance(self._seed, "status", account_id)
        return STATUSES[0] if luck % _NORMAL_OF else STATUSES[1 + (luck >> 8) % (len(STATUSES) - 1)]

    def entry(self, account_id: AccountId) -> dict[str, object]:
        """What both lists may say of it; each says its own share."""
        luck = chance(self._seed, "entry", account_id)
        name = self.name(account_id)
        return {
            "account_id": account_id,
            "corporation_name": name,
            "mdm_name": name,
            "daily_budget": 100_000 * (luck % 50),
            "memo": "",
            "system_status": self.status(account_id),
            "contact_person_mobile": f"1390000{luck % 10_000:04d}",
            "is_bid": True,
            "is_mp": luck >> 20 & 7 == 0,
            "is_adx": False,
            "comment_list": [{"user_id": luck % 1_000_000, "comment": "重点客户"}] if luck >> 30 & 1 else [],
        }
