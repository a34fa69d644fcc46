from __future__ import annotations

import base64
import io
import sys
from pathlib import Path

import pytest

from edge_app.errors import PasswordRefused, SettingsError, TooManyGuesses
from edge_app.password import main
from edge_app.web.password_file import PasswordFile, hash_password

PASSWORD = "three words: größer"
HERE, THERE = "10.0.0.7", "10.0.0.8"


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def basic(password: str, user: str = "nurse") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(hash_password(PASSWORD) + "\n")
    return path


def test_right_password_passes_with_any_user_name(path: Path) -> None:
    file = PasswordFile(path)
    file.check(basic(PASSWORD), HERE)
    file.check(basic(PASSWORD, user=""), THERE)


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Basic", "Basic !", "Bearer x", "Basic w7w=", basic(""), basic(PASSWORD + " ")],
)
def test_anything_else_is_refused(path: Path, authorization: str | None) -> None:
    with pytest.raises(PasswordRefused):
        PasswordFile(path).check(authorization, HERE)


def test_guesses_wait_longer_each_time_and_others_do_not(path: Path) -> None:
    clock = Clock()
    file = PasswordFile(path, clock)
    for _ in range(5):
        with pytest.raises(PasswordRefused):
            file.check(basic("a wrong guess"), HERE)
    waits = []
    for _ in range(3):
        with pytest.raises(TooManyGuesses) as refused:
            file.check(basic(PASSWORD), HERE)
        waits.append(refused.value.retry_after_s)
        clock.now_s += refused.value.retry_after_s
        with pytest.raises(PasswordRefused):
            file.check(basic("another guess"), HERE)
    assert waits == [2, 3, 5]
    file.check(basic(PASSWORD), THERE)


def test_one_computer_s_many_ipv6_addresses_wait_together(path: Path) -> None:
    file = PasswordFile(path, Clock())
    for number in range(5):
        with pytest.raises(PasswordRefused):
            file.check(basic("a wrong guess"), f"2001:db8::{number}:1")
    with pytest.raises(TooManyGuesses):
        file.check(basic(PASSWORD), "2001:db8::9:9")
    file.check(basic(PASSWORD), "2001:db8:0:1::1")
    file.check(basic(PASSWORD), "fe80::1%eth0")


def test_the_file_holds_a_salted_slow_hash_only(path: Path) -> None:
    kind, salt, slow_hash = path.read_text().strip().split(":")
    assert (kind, len(bytes.fromhex(salt)), len(bytes.fromhex(slow_hash))) == ("scrypt", 16, 32)
    assert hash_password(PASSWORD) != hash_password(PASSWORD)


def test_short_password_is_refused() -> None:
    with pytest.raises(SettingsError, match="has 8 characters"):
        hash_password("12345678")


@pytest.mark.parametrize("content", ["", "plain text", "md5:00:00", "scrypt:zz:00"])
def test_other_file_is_refused_and_says_what_to_do(tmp_path: Path, content: str) -> None:
    path = tmp_path / "password"
    path.write_text(content)
    with pytest.raises(SettingsError, match=r"python -m edge_app\.password"):
        PasswordFile(path)


def test_command_writes_a_file_for_this_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "password"
    monkeypatch.setattr(sys, "stdin", io.StringIO(PASSWORD + "\n"))
    assert main([str(path)]) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    PasswordFile(path).check(basic(PASSWORD), HERE)


def test_command_overwrites_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_text()
    monkeypatch.setattr(sys, "stdin", io.StringIO("another password\n"))
    assert main([str(path)]) == 2
    assert path.read_text() == before
