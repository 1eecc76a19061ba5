"""What every table of the config is made of."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of the tables: nothing unknown passes, nothing changes, no input is printed."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)
