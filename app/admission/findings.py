"""What can be found about goods at the gate: each kind with its words, its source, its weight."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from app.admission.policy import Proof, Rule, Severity
from app.core.errors import Text


@dataclass(frozen=True, slots=True)
class Observation:
    """A kind of finding.

    Attributes:
        code: Stable name; never reused, never renamed.
        severity: What it comes to where no dated rule speaks about it.
        text: What was found and what to do, for whoever stands at the gate.
        source: The law, standard or design that says so.
        alarm: Whether somebody must be told at once, wherever the scan was made.
    """

    code: str
    severity: Severity
    text: Text
    source: str
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One observation about one scan.

    Attributes:
        by: The dated rule that it rests on; None for the platform's own.
        further: Where else the rule stands: the catalogue's reason for asking a proof.
    """

    kind: Observation
    facts: Mapping[str, Any] = field(default_factory=dict)
    by: Rule | None = None
    further: str = ""

    @property
    def severity(self) -> Severity:
        """What it does to the verdict."""
        return self.kind.severity if self.by is None else self.by.consequence

    @property
    def source(self) -> str:
        """Where the rule stands."""
        own = self.kind.source if self.by is None else self.by.source
        return f"{own}; {self.further}" if self.further else own

    @property
    def satisfied_by(self) -> tuple[Proof, ...]:
        """Any one of these would have met the rule."""
        return () if self.by is None else self.by.proofs


def _observation(
    code: str, severity: Severity, zh: str, en: str, source: str, *, alarm: bool = False
) -> Observation:
    return Observation(code, severity, Text(zh, en), source, alarm)


_LAYOUT = "docs/token.md"
_HOUSE = "平台规则 (rule of this platform)"
_ENTRY = "食用农产品市场销售质量安全监督管理办法 (SAMR 81) art. 23 (not confirmed)"

OBSERVATIONS: Final = {
    observation.code: observation
    for observation in (
        # What was read.
        _observation(
            "foreign-host",
            Severity.REFUSE,
            "网址不属于本平台，疑似仿冒页面；请勿打开，让对方出示平台票据",
            "The address is not this platform's and imitates it: do not open it",
            _HOUSE,
            alarm=True,
        ),
        _observation(
            "unreadable",
            Severity.HOLD,
            "二维码内容残缺或有误；请重新扫描，或输入票面短码",
            "The code is damaged: scan it again, or type the short code",
            _LAYOUT,
        ),
        _observation(
            "needs-online-check",
            Severity.HOLD,
            "暂时无法核验（密钥或版本未知），不等于假票；请联系市场管理方",
            "Cannot verify: the key or the version is unknown. This is not a forgery by itself",
            _LAYOUT,
        ),
        _observation(
            "unrecognised",
            Severity.HOLD,
            "无法识别的内容；请扫描票据二维码或输入 13 位短码",
            "Not a code that is known: scan the ticket's code or type its 13 characters",
            _HOUSE,
        ),
        _observation(
            "foreign-code",
            Severity.HOLD,
            "其他平台的编码，已原样记录，未作核验；请人工查验来源凭证",
            "A code of another system: kept as it is and not verified. Check the papers by hand",
            _HOUSE,
        ),
        _observation(
            "check-digit-wrong",
            Severity.HOLD,
            "商品条码校验位不符",
            "The check digit of the product number does not fit",
            "GS1 General Specifications 7.9 (GB 12904)",
        ),
        _observation(
            "unknown-code",
            Severity.REFUSE,
            "没有这个短码的票据；请核对后重新输入",
            "No ticket or certificate has this short code: compare it and type it again",
            _HOUSE,
        ),
        _observation(
            "typed-code",
            Severity.INFO,
            "按短码查询，未核验二维码签名；请核对货物与屏幕内容",
            "Found by its short code; no signature was checked. Compare goods and screen",
            _LAYOUT,
        ),
        # What its signature is worth.
        _observation(
            "bad-signature",
            Severity.REFUSE,
            "签名不符：伪造或被改动的票据",
            "The signature is wrong: forged or altered",
            _LAYOUT,
            alarm=True,
        ),
        _observation(
            "wrong-key-class",
            Severity.REFUSE,
            "签名密钥无权签发此类票据：伪造",
            "Signed by a key that must not sign such documents: forged",
            _LAYOUT,
            alarm=True,
        ),
        _observation(
            "key-not-yet-valid",
            Severity.REFUSE,
            "票据时间早于签名密钥启用时间",
            "Issued before its signing key came into use",
            _LAYOUT,
        ),
        _observation(
            "key-expired",
            Severity.REFUSE,
            "签名密钥已过核验期限",
            "The signing key's time is over",
            _LAYOUT,
        ),
        _observation(
            "key-dropped",
            Severity.WARN,
            "签名密钥已停用；以平台登记为准",
            "The signing key was withdrawn; what counts is whether the books know the ticket",
            _LAYOUT,
        ),
        _observation(
            "test-ticket",
            Severity.REFUSE,
            "测试票据 TEST, 不能用于交易",
            "A TEST ticket: no goods move on it",
            _LAYOUT,
        ),
        _observation(
            "off-log",
            Severity.REFUSE,
            "签名有效但平台没有这张票据的登记：疑似密钥泄露，已报警",
            "The signature is right, and the books do not know this ticket: key-compromise alarm",
            _HOUSE,
            alarm=True,
        ),
        _observation(
            "in-the-books",
            Severity.INFO,
            "平台有登记，内容与签发时一致",
            "The books know it, as it was issued",
            _HOUSE,
        ),
        # What became of it.
        _observation(
            "voided",
            Severity.REFUSE,
            "已作废；请向卖方索取新票据",
            "It was voided: ask the seller for a new one",
            _HOUSE,
        ),
        _observation(
            "refused",
            Severity.REFUSE,
            "买方已拒收这张票据的货物",
            "The buyer refused the goods of this ticket",
            _HOUSE,
        ),
        _observation(
            "already-accepted",
            Severity.REFUSE,
            "票据已被验收使用，不能再次使用；谨防复印件",
            "The ticket has been used: goods were accepted on it before. Beware of copies",
            _HOUSE,
        ),
        _observation(
            "expired",
            Severity.REFUSE,
            "已过有效期",
            "It has expired",
            _LAYOUT,
        ),
        _observation(
            "not-addressed",
            Severity.HOLD,
            "票据不是开给本单位或本市场的；请核对买方",
            "It is made out to another buyer or market: check who the goods are for",
            _HOUSE,
        ),
        # What it says about the goods.
        _observation(
            "lot-on-hold",
            Severity.HOLD,
            "批次已被控制，暂停流转",
            "The lot is on hold and may not move",
            "食品安全法 art. 63",
        ),
        _observation(
            "source-on-hold",
            Severity.HOLD,
            "上游来源批次已被控制，请暂存待查",
            "A lot that went into it is on hold: keep the goods apart",
            "食品安全法 art. 63",
        ),
        _observation(
            "test-failed",
            Severity.REFUSE,
            "检测不合格，禁止入场；请封存并报告监管部门",
            "A test has failed: keep it out, seal it and tell the regulator",
            "食品安全法 art. 64",
            alarm=True,
        ),
        _observation(
            "test-suspect",
            Severity.HOLD,
            "快检可疑或阳性，尚未确认；请单独存放，复检或送实验室",
            "A quick test is suspect, not confirmed: keep the goods apart, repeat or send to lab",
            "食品安全法 art. 64",
        ),
        _observation(
            "test-passed",
            Severity.INFO,
            "检测合格",
            "A test has passed",
            _ENTRY,
        ),
        _observation(
            "test-verified",
            Severity.INFO,
            "所填检测编号在本平台有记录，与货物相符，结果合格",
            "The number names a test in the books: it is of these goods, and has passed",
            _ENTRY,
        ),
        _observation(
            "test-not-verified",
            Severity.WARN,
            "所填检测编号在本平台无记录，未经核实；请向出具机构核对报告",
            "The number names no test in the books: not verified. Ask whoever issued the report",
            _ENTRY,
        ),
        _observation(
            "test-does-not-fit",
            Severity.HOLD,
            "所填检测与货物不符（批次、产品、结果或日期）；该报告不作为合格证明，请重新检测",
            "The test is not of these goods by its lot, product, result or date: it proves nothing",
            _ENTRY,
        ),
        _observation(
            "agreement-missing",
            Severity.REFUSE,
            "销售者未与市场签订质量安全协议；请先签订",
            "The seller has no quality and safety agreement with the market: sign one first",
            _ENTRY,
        ),
        _observation(
            "no-source-proof",
            Severity.REFUSE,
            "来源不明：没有生产者，也没有进货凭证",
            "No proof of source: neither a producer nor a purchase voucher",
            _ENTRY,
        ),
        _observation(
            "ticket-missing",
            Severity.HOLD,
            "收购者的合格证不能证明进货来源；请扫描随货票据",
            "A purchaser's certificate proves no source: scan the ticket that came with the goods",
            _ENTRY,
        ),
        _observation(
            "paper-expired",
            Severity.REFUSE,
            "随货证明已过有效期；请报告动物卫生监督机构或监管部门",
            "A paper of the goods has expired: report it",
            "动物防疫法 art. 51",
            alarm=True,
        ),
        _observation(
            "paper-dated-ahead",
            Severity.HOLD,
            "随货证明的日期晚于到货日期",
            "A paper of the goods is dated after their arrival",
            _HOUSE,
        ),
        _observation(
            "paper-product-differs",
            Severity.HOLD,
            "随货证明的产品与货物不符",
            "A paper is for another product than the goods",
            _HOUSE,
        ),
        _observation(
            "paper-mass-short",
            Severity.HOLD,
            "货物重量超过随货证明剩余重量 (一证多用)",
            "The goods weigh more than is left on the paper",
            _HOUSE,
        ),
        _observation(
            "quarantine-missing",
            Severity.REFUSE,
            "缺少有效的动物检疫证明；请报告",
            "No valid animal quarantine certificate: report it",
            "动物防疫法 art. 51",
        ),
        _observation(
            "meat-inspection-missing",
            Severity.REFUSE,
            "缺少肉品品质检验合格证；请报告",
            "No meat inspection certificate: report it",
            "生猪屠宰管理条例 art. 15, 23",
        ),
        _observation(
            "import-inspection-missing",
            Severity.REFUSE,
            "进口产品缺少入境货物检验检疫证明",
            "Imported goods without the entry inspection and quarantine certificate",
            _ENTRY,
        ),
        _observation(
            "certificate-voided",
            Severity.HOLD,
            "随货合格证已作废；请供货者重新开具",
            "A certificate of the goods was voided: the supplier must issue a new one",
            "农产品质量安全法 art. 39",
        ),
        _observation(
            "certificate-missing",
            Severity.TEST,
            "缺少合格证明；抽样或快检合格后可入场",
            "No proof of conformity: admit after a sample or quick test",
            _ENTRY,
        ),
        _observation(
            "certificate-advised",
            Severity.TEST,
            "农户自产，鼓励开具合格证；本批无证，快检合格后可入场",
            "A smallholder's own produce, for which a certificate is advised: admit after a test",
            "农产品质量安全法 art. 39; " + _ENTRY,
        ),
        _observation(
            "certificate-without-basis",
            Severity.TEST,
            "合格证未勾选承诺依据；抽样或快检合格后可入场",
            "The certificate states no basis of its promise: admit after a sample or quick test",
            _ENTRY,
        ),
        _observation(
            "implausible",
            Severity.TEST,
            "数据可疑（预警未处理或合格证晚于销售）；快检合格后可入场",
            "What the books say of the goods cannot well be (an early warning is open, or the "
            "certificate is younger than the sale): admit after a test",
            _HOUSE,
        ),
        # What stands at the gate.
        _observation(
            "mass-exceeds-ticket",
            Severity.HOLD,
            "到货重量（含此前入场）超过票据重量",
            "More stands here, with what came in before, than the ticket is for",
            _HOUSE,
        ),
        _observation(
            "goods-sold",
            Severity.HOLD,
            "到货重量超过持证人该批次的剩余重量（其余已售出、报损或销毁）；请扫描随货票据，谨防合格证复用",
            "More stands here than its holder still has: the rest was sold or is gone. Scan the "
            "ticket that came with the goods, and beware of a certificate used twice",
            _HOUSE,
        ),
        _observation(
            "admitted-before",
            Severity.HOLD,
            "同一票据已在其他市场入场，或已用完；谨防复印件",
            "The same ticket was admitted at another market, or is used up. Beware of copies",
            _HOUSE,
            alarm=True,
        ),
        _observation(
            "drawn-for-test",
            Severity.WARN,
            "随机抽中：请取样检测",
            "Drawn at random: take a sample",
            "食品安全法 art. 64",
        ),
        # How it was scanned.
        _observation(
            "plate-mismatch",
            Severity.WARN,
            "车牌与票据不符",
            "The vehicle is not the one on the ticket",
            _HOUSE,
        ),
        _observation(
            "told-late",
            Severity.WARN,
            "发生时间远早于平台获知时间，按两日规定中较严者处理；请核对设备时间，必要时报监管部门",
            "It is said to have been long before we heard of it: the graver of both days' rules "
            "counts. Check the device's clock; if it is right, tell the office",
            _HOUSE,
        ),
        _observation(
            "clock-skew",
            Severity.WARN,
            "设备时间与平台相差超过 5 分钟（未说明发送时间的，与收到时间比较）",
            "The device's clock and ours differ by more than 5 minutes (without the time of "
            "sending, it is compared with when this arrived)",
            _HOUSE,
        ),
    )
}
"""All kinds of findings, in the order in which a verdict lists them."""
