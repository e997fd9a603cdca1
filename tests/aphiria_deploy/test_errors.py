import pytest

from aphiria_deploy.errors import AphiriaDeployError, CombinedError, Errors, InputError, UnavailableError


def test_one_error_stays_itself_and_several_are_told_together() -> None:
    errors = Errors()
    with errors.collected():
        raise InputError("first")
    with pytest.raises(InputError, match=r"^first$"):
        errors.raise_all()
    errors.add(AphiriaDeployError("second"))
    errors.add(CombinedError([UnavailableError("third"), InputError("first")]))
    with pytest.raises(CombinedError) as raised:
        errors.raise_all()
    assert str(raised.value) == "first\nsecond\nthird"


def test_none_is_none() -> None:
    errors = Errors()
    with errors.collected():
        pass
    errors.raise_all()


def test_what_is_not_expected_is_not_collected() -> None:
    errors = Errors()
    with pytest.raises(KeyError), errors.collected():
        raise KeyError("a bug")
    errors.raise_all()


@pytest.mark.parametrize(
    ("parts", "exit_code"),
    [
        ([UnavailableError("a"), UnavailableError("b")], 5),
        ([UnavailableError("a"), InputError("b")], 2),
        ([AphiriaDeployError("a"), UnavailableError("b")], 1),
    ],
)
def test_the_exit_code_is_the_inputs_where_one_is_about_the_input(
    parts: list[AphiriaDeployError], exit_code: int
) -> None:
    assert CombinedError(parts).exit_code == exit_code
