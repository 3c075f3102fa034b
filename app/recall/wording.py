"""The words of the trade for recalls, in both languages: on pages, on paper and in spreadsheets."""

from typing import Final

from app.core.errors import Text
from app.recall.rules import Channel, Method, Outcome, Relation, StepKind, Trigger

TRIGGERS: Final = {
    Trigger.TEST: Text("检测不合格", "a failed test"),
    Trigger.COMPLAINT: Text("投诉举报", "a complaint"),
    Trigger.NOTICE: Text("监管通报", "a notice"),
    Trigger.SELF_CHECK: Text("自查发现", "a check of its own"),
}
RELATIONS: Final = {
    Relation.FOUND: Text("问题批次", "found"),
    Relation.SOURCE: Text("可疑来源", "suspect source"),
    Relation.UPSTREAM: Text("上游", "on the way from a source"),
    Relation.DESCENDANT: Text("下游", "made of it"),
    Relation.SIBLING: Text("同源", "shares a source"),
}
STEPS: Final = {
    StepKind.LOCATED: Text("查到", "located"),
    StepKind.RECOVERED: Text("收回", "recovered"),
    StepKind.CONSUMED: Text("已消费", "consumed"),
}
METHODS: Final = {
    Method.DESTROYED: Text("销毁", "destroyed"),
    Method.RENDERED_HARMLESS: Text("无害化处理", "rendered harmless"),
    Method.REMEDIED: Text("补救后可售", "remedied"),
}
OUTCOMES: Final = {
    Outcome.COMPLETED: Text("已完成", "completed"),
    Outcome.LIFTED: Text("已解除", "lifted"),
}
CHANNELS: Final = {
    Channel.LETTER: Text("书面", "letter"),
    Channel.PHONE: Text("电话", "phone"),
    Channel.MESSAGE: Text("短信微信", "message"),
    Channel.POSTER: Text("张贴公告", "poster"),
}
GRADES: Final = {
    1: Text("一级召回", "class 1"),
    2: Text("二级召回", "class 2"),
    3: Text("三级召回", "class 3"),
}


def title(*, mock: bool) -> Text:
    """Name a case, or an exercise, so that nobody takes one for the other."""
    if mock:
        return Text("模拟召回（演练）", "Mock recall (exercise)")
    return Text("召回", "Recall")
