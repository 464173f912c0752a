"""The command ``admitone``: every command by its name, in the order of its help."""

from __future__ import annotations

import typer

from admitone.commands import (
    alarms,
    allotments,
    crowds,
    data,
    database,
    draws,
    keys,
    lanes,
    messages,
    networks,
    operators,
    payments,
    processes,
    rooms,
    search,
    setup,
    shops,
    vouchers,
    webhooks,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Admit One: a waiting room and seat booking for ticket on-sales. All commands read the same "
    "environment variables; `admitone settings` lists them.",
)

for command in (
    processes.up,
    processes.gateway,
    processes.worker,
    database.migrate,
    database.seed,
    crowds.crowd,
    crowds.rehearse,
    rooms.room,
    rooms.codes,
    vouchers.vouchers,
    messages.bounces,
    database.audit,
    setup.doctor,
):
    app.command()(command)
app.command("settings")(setup.list_settings)

operator_app = typer.Typer(no_args_is_help=True, help="Operators, who may steer the door.")
operator_app.command("add")(operators.add)
operator_app.command("list")(operators.list_all)
operator_app.command("remove")(operators.remove)
operator_app.command("role")(operators.set_role)
operator_app.command("password")(operators.set_password)
operator_app.command("reset-factors")(operators.reset_factors)
app.add_typer(operator_app, name="operator")

token_app = typer.Typer(invoke_without_command=True)
token_app.callback()(operators.token)
token_app.command("list")(operators.list_tokens)
token_app.command("revoke")(operators.revoke_token)
app.add_typer(token_app, name="token")

draw_app = typer.Typer(no_args_is_help=True, help="The draw of a lobby, which anybody may recheck.")
draw_app.command("verify")(draws.verify)
draw_app.command("export")(draws.export)
app.add_typer(draw_app, name="draw")

allotment_app = typer.Typer(no_args_is_help=True, help="Allotments: seats that are out of the sale under a name.")
allotment_app.command("make")(allotments.make)
allotment_app.command("list")(allotments.list_all)
allotment_app.command("back")(allotments.put_back)
app.add_typer(allotment_app, name="allotment")

lane_app = typer.Typer(no_args_is_help=True, help="Lanes: which events each of them books.")
lane_app.command("list")(lanes.list_all)
lane_app.command("move")(lanes.move)
lane_app.command("back")(lanes.back)
lane_app.command("count")(lanes.count)
app.add_typer(lane_app, name="lane")

webhook_app = typer.Typer(no_args_is_help=True, help="Webhooks: where news of rooms and purchases is sent.")
webhook_app.command("add")(webhooks.add)
webhook_app.command("list")(webhooks.list_all)
webhook_app.command("remove")(webhooks.remove)
webhook_app.command("resend")(webhooks.resend)
app.add_typer(webhook_app, name="webhook")

search_app = typer.Typer(no_args_is_help=True, help="The search's index at Elasticsearch.")
search_app.callback()(lambda: None)
search_app.command("rebuild")(search.rebuild)
app.add_typer(search_app, name="search")

alarm_app = typer.Typer(no_args_is_help=True, help="Alarms: what stands, from which thresholds on, and who is told.")
alarm_app.command("list")(alarms.list_all)
alarm_app.command("rules")(alarms.rules)
alarm_app.command("set")(alarms.set_one)
alarm_app.command("reset")(alarms.reset)
alarm_app.command("receivers")(alarms.receivers)
alarm_app.command("add")(alarms.add)
alarm_app.command("remove")(alarms.remove)
alarm_app.command("test")(alarms.test)
app.add_typer(alarm_app, name="alarm")

networks_app = typer.Typer(no_args_is_help=True, help="Networks that are let through or turned away.")
networks_app.command("deny")(networks.deny)
networks_app.command("allow")(networks.allow)
networks_app.command("import")(networks.read_file)
networks_app.command("list")(networks.list_all)
networks_app.command("remove")(networks.remove)
app.add_typer(networks_app, name="networks")

shop_app = typer.Typer(no_args_is_help=True, help="Rooms before somebody else's shop.")
shop_app.command("add")(shops.add)
shop_app.command("list")(shops.list_all)
shop_app.command("change")(shops.change)
app.add_typer(shop_app, name="shop")

data_app = typer.Typer(no_args_is_help=True, help="Keys of what is sealed in Postgres, and fans' own data.")
data_app.command("rotate")(data.rotate)
data_app.command("export")(data.export)
data_app.command("erase")(data.erase)
app.add_typer(data_app, name="data")

payments_app = typer.Typer(no_args_is_help=True, help="Payments, as the providers know them.")
payments_app.callback()(lambda: None)
payments_app.command("reconcile")(payments.reconcile)
app.add_typer(payments_app, name="payments")

keys_app = typer.Typer(no_args_is_help=True, help="The keys that sign sessions, places, codes and links.")
keys_app.command("rotate")(keys.rotate)
keys_app.command("list")(keys.list_all)
keys_app.command("remove")(keys.remove)
app.add_typer(keys_app, name="keys")


def main() -> None:
    """The console script."""
    app(prog_name="admitone")
