"""What the words and signs of a report mean: the part a heading plays, states, severities, labels, problems.

The vocabulary is that of audit reports at large, in English, German, French, Spanish, Portuguese, Italian, Dutch and
Hindi; nothing in it belongs to one report. Words are matched in lower case; `*` stands for any ending.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import Final

from app.post_audit.steps.enhancements.lexicon import severity_of_score, severity_of_word

__all__ = [
    "Label",
    "Role",
    "Verdict",
    "core_of",
    "has_problem",
    "has_role_words_only",
    "has_strong_problem",
    "is_action",
    "is_past",
    "is_told_fixed",
    "label_of",
    "role_of",
    "severity_in",
    "sign_of",
    "status_of",
    "tokens_of",
    "without_signs",
]


class Role(Enum):
    """The part that a section plays."""

    FINDINGS = "what is wrong or missing"
    ACTIONS = "what is to be done"
    FIXED = "what was wrong and is fixed"
    GOOD = "what works"
    NOISE = "what frames the report"


class Verdict(Enum):
    """What a sign or word says of the thing beside it."""

    OPEN = "open"
    PARTIAL = "partial"
    DONE = "done"
    GOOD = "good"
    NONE = "no finding"


class Label(Enum):
    """What stands behind `label:`."""

    TITLE = "title"
    ID = "id"
    STATUS = "status"
    SEVERITY = "severity"
    PRIORITY = "priority"
    LOCATION = "location"
    EFFORT = "effort"
    FIX = "fix"
    PROBLEM = "problem"
    ACTION = "action"
    CATEGORY = "category"
    DETAIL = "detail"
    COUNT = "count"


def _words(text: str) -> re.Pattern[str]:
    """Compile a list of words and phrases, separated by bars; other scripts than Latin have no word boundaries."""
    patterns = []
    # the longest first: of two that begin alike, the phrase is to be found and not its first word
    for word in sorted({part.strip() for part in text.split("|")} - {""}, key=lambda word: (-len(word), word)):
        body = re.escape(word.rstrip("*")).replace(r"\ ", r"[\s\-]+").replace(" ", r"[\s\-]+")
        ending = r"\w*" if word.endswith("*") else r"(?!\w)"
        patterns.append(rf"(?<!\w){body}{ending}" if word[0] < "\u0900" else body)
    return re.compile("|".join(patterns))


_ROLES: Final = (
    (
        Role.FIXED,
        _words(
            "fixed|resolved|remediated|fixes applied|fixes made|fix applied|changes made|changes applied|what was fixed|"
            "what we fixed|solution implemented|solutions implemented|implemented solutions|implemented fixes|"
            "fixes implemented|completed actions|completed items|completed work|completed tasks|closed issues|"
            "closed findings|resolved issues|already addressed|addressed|since last|corrected|corrections made|"
            "improvements made|repaired|patched|done since|"
            "behoben*|erledigt*|gelöst*|korrigiert*|corregid*|resuelt*|solucionad*|arreglad*|corrigé*|résolu*|réparé*|"
            "corrigid*|resolvid*|risolt*|corrett*|opgelost*|verholpen|"
            "सुधारा गया|सुधारे गए|ठीक किए|ठीक किया|हल किए|हल की गई|हल हो|समाधान हो"
        ),
    ),
    (
        Role.NOISE,
        _words(
            "introduction|scope|in scope|out of scope|methodology|methods|method|approach|background|objective*|"
            "executive summary|management summary|purpose|about this|about the|definitions|definition of|legend|glossary|"
            "severity levels|severity scale|severity classification|severity definitions|severity rating*|risk rating*|"
            "risk matrix|rating scale|rating system|risk classification|risk levels|classification of|severity criteria|"
            "how to read|how we|appendix|annex|references|further reading|bibliography|resources|links|tools|tooling|"
            "disclaimer|conclusion*|closing|verdict|statistics|metrics|scorecard|score card|scores|by the numbers|"
            "table of contents|contents|timeline|schedule|team|contact|contacts|sign off|signoff|version history|"
            "revision history|document history|document control|change log|changelog|test environment|environment|"
            "test setup|setup|file structure|files modified|files changed|modified files|file list|limitations of|"
            "assumptions|distribution|confidentiality|acknowledg*|notes|note|probability|test cases|test plan|"
            "verification|verification checklist|how to verify|testing tools|standards|documentation reviewed|"
            "files reviewed|reviewed files|files in scope|coverage|system overview|project overview|overview|"
            "architecture overview|architecture|summary statistics|totals|completion status|why|sources|participants|"
            "context|summary|what we tested|what was tested|what we looked at|what we did|pages tested|pages reviewed|"
            "budget|cost|costs|estimate|estimates|next audit|next review|thanks|roles and responsibilities|about|"
            "issue counts|finding counts|severity breakdown|breakdown|distribution of|key figures|test accounts|inventory|"
            "einleitung|einführung|umfang|geltungsbereich|methodik|vorgehen*|zusammenfassung|anhang|quellen|"
            "rahmenbedingungen|ziel|ziele|glossar|fazit|überblick|hintergrund|impressum|statistik*|bewertungsschema|"
            "introducción|alcance|metodología|resumen|anexo*|referencias|glosario|conclusión|conclusiones|objetivo*|"
            "antecedentes|estadísticas|introduction|périmètre|portée|méthodologie|méthode|résumé|synthèse|annexe*|"
            "références|glossaire|contexte|objectif*|statistiques|introdução|escopo|metodologia|sumário|apêndice|"
            "conclusão|introduzione|ambito|riepilogo|sommario|appendice|riferimenti|conclusioni|inleiding|reikwijdte|"
            "werkwijze|samenvatting|bijlage*|conclusie*|"
            "परिचय|कार्यक्षेत्र|दायरा|कार्यप्रणाली|पद्धति|सारांश|संदर्भ|परिशिष्ट|उद्देश्य|पृष्ठभूमि|शब्दावली|आँकड़े|भूमिका"
        ),
    ),
    (
        Role.GOOD,
        _words(
            "strength*|positive|positives|positive observations|positive findings|what works|works well|what's working|"
            "what is working|working|good practices|good practice|best practices observed|went well|passed|passing|passes|"
            "pass|existing|exist|exists|ready for production|no issues|no findings|no action|compliant|done well|"
            "what we liked|highlights|praise|success*|implemented features|current features|good news|fully functional|"
            "secure|conforms|conforming|looks good|already good|no problems|healthy|verified ok|commendations|"
            "things done right|keep doing|well done|pros|not affected|tested without findings|"
            "stärken|positiv*|funktioniert|bestanden|ohne befund|gut gelöst|fortalezas|aspectos positivos|puntos fuertes|"
            "lo que funciona|funciona bien|points forts|points positifs|ce qui fonctionne|conforme*|pontos fortes|"
            "pontos positivos|punti di forza|aspetti positivi|sterke punten|goed|"
            "अच्छा|अच्छी|सही काम|ताकत|सकारात्मक|ठीक चल"
        ),
    ),
    (
        Role.ACTIONS,
        _words(
            "recommend*|action item*|action plan|actions|action|action required|actions needed|next step*|to do|todo|to-do|todos|"
            "roadmap|remediation|remediation plan|improvement*|suggest*|quick win*|follow up*|followup*|plan|phase|"
            "sprint|backlog|tasks|fix list|what to do|must do|should do|proposed|proposal*|nice to have|prevention|"
            "work items|way forward|advice|checklist|priorities|what to fix|fix first|to fix|"
            "empfehlung*|maßnahme*|massnahme*|nächste schritte|aufgaben|handlungsbedarf|verbesserung*|"
            "recomendacion*|recomendaciones|acciones|próximos pasos|plan de acción|mejoras|tareas|"
            "recommandation*|actions correctives|prochaines étapes|plan d'action|améliorations|tâches|"
            "recomendações|recomendação|ações|próximos passos|melhorias|tarefas|raccomandazion*|azioni|prossimi passi|"
            "miglioramenti|aanbeveling*|acties|volgende stappen|verbeterpunten|maatregelen|"
            "सुझाव|सिफारिश|अनुशंसा|अगले कदम|कार्य योजना|कार्रवाई|करने योग्य"
        ),
    ),
    (
        Role.FINDINGS,
        _words(
            "issue*|finding*|vulnerabilit*|problem*|defect*|bug|bugs|gap|gaps|missing|weakness*|risk|risks|concern*|"
            "violation*|failure*|failed|failing|fails|barrier*|error|errors|blocker*|observation*|shortcoming*|limitation*|"
            "needs attention|needs work|needs implementation|need attention|broken|not implemented|incomplete|pending|"
            "outstanding|open items|open points|open questions|not working|doesn't work|does not work|deficienc*|flaw*|"
            "exposure*|non conform*|nonconform*|non compliance|noncompliance|not compliant|requires attention|root cause*|"
            "must fix|pain point*|technical debt|tech debt|debt|threats|anomal*|discrepanc*|warnings|alerts|"
            "critical items|what's missing|what is missing|what's wrong|what's broken|what went wrong|hazard*|leaks|"
            "cons|exceptions|exception|deviations|absent|without|mistakes|incidents|remarks|remark|comments|nits|nitpicks|minor points|"
            "mängel|mangel|befund*|schwachstelle*|feststellung*|fehler|probleme|lücken|risiken|sicherheitslücke*|fehlt|"
            "fehlend*|offen*|abweichung*|kritikpunkte|"
            "hallazgo*|vulnerabilidad*|problemas|fallos|deficiencia*|debilidad*|riesgo*|incidencia*|carencia*|falta*|errores|"
            "constat*|vulnérabilité*|problème*|anomalie*|défaut*|faiblesse*|faille*|risque*|manque*|lacune*|"
            "achado*|vulnerabilidade*|falha*|fraqueza*|risco*|pendência*|riscontr*|vulnerabilità|problemi|difett*|carenz*|"
            "criticità|bevinding*|kwetsbaarhe*|problemen|tekortkoming*|gebreken|"
            "समस्या|कमी|कमियाँ|कमियां|त्रुटि|खामी|खामियाँ|खामियां|दोष|जोखिम|निष्कर्ष|भेद्यता|भेद्यताएँ|बग|लंबित"
        ),
    ),
)

# Signs. A coloured circle says how bad, not whether it is open.
_BAD_SIGNS: Final = "❌✗✘✖🚫⛔❎🛑⮾"
_GOOD_SIGNS: Final = "✅✓✔☑👍🎉"
_WARNING_SIGNS: Final = "⚠❗❕‼🚨🐛💥🟥"
_WAITING_SIGNS: Final = "⏳⌛🔄🚧⏸⬜☐🔲🔜"
_SEVERITY_SIGNS: Final = {"🔴": "critical", "🟥": "critical", "🟠": "high", "🟡": "medium", "🟨": "medium", "🟢": "low", "🔵": "low"}
_SIGNS: Final = re.compile(
    rf"[{_BAD_SIGNS}{_GOOD_SIGNS}{_WARNING_SIGNS}{_WAITING_SIGNS}\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2b00-\u2bff"
    r"\U0001f000-\U0001faff\ufe0e\ufe0f\u20e3\u200d]"
)

_NO_FINDING: Final = _words(
    "false positive|not applicable|n/a|na|not a bug|invalid|duplicate|entfällt|no aplica|sans objet|fehlalarm|falso positivo|"
    "not tested|out of scope|not reproducible"
)
_NOT_DONE: Final = _words(
    "not fixed|not resolved|not done|not remediated|not started|not yet|not implemented|not addressed|unfixed|unresolved|"
    "not complete*|incomplete|unpatched|to be fixed|to fix|still open|still present|not working|not closed|not mitigated|"
    "nicht behoben|nicht erledigt|no corregid*|sin corregir|no resuelt*|sin resolver|non corrigé*|non résolu*|"
    "não corrigid*|non risolt*|niet opgelost|risk accepted|accepted risk|accepted|acknowledged|won't fix|wont fix|wontfix|"
    "ठीक नहीं|हल नहीं|नहीं हुआ|नहीं है|नहीं किया|must be fixed|should be fixed|needs to be fixed|reopened"
)
_PARTIAL: Final = _words(
    "partial|partially|partly|in progress|in work|ongoing|wip|started|in review|mitigated partially|halfway|underway|"
    "partially fixed|under way|being fixed|begun|half done|mostly|"
    "teilweise|in arbeit|in bearbeitung|begonnen|parcial*|en curso|en progreso|en proceso|partiel*|en cours|"
    "em andamento|em progresso|parzial*|in corso|gedeeltelijk|deels|mee bezig|"
    "आंशिक|प्रगति पर|जारी|चल रहा"
)
_DONE: Final = _words(
    "fixed|resolved|remediated|closed|done|patched|mitigated|corrected|repaired|solved|addressed|retested ok|"
    "fix verified|completed|shipped|merged|remedied|"
    "behoben|erledigt|gelöst|geschlossen|korrigiert|abgeschlossen|corregid*|resuelt*|solucionad*|cerrad*|hech*|"
    "arreglad*|subsanad*|corrigé*|résolu*|fermé*|traité*|réglé*|terminé*|corrigid*|resolvid*|fechad*|concluíd*|risolt*|"
    "corrett*|chius*|opgelost|afgehandeld|gesloten|verholpen|"
    "ठीक किया|ठीक हो|हल हो|हल किया|हल|पूर्ण|पूरा|सुलझ|बंद किया|सुधारा"
)
_OPEN: Final = _words(
    "open|new|todo|to do|to-do|pending|missing|fail|failed|fails|failing|broken|not found|absent|empty|confirmed|active|"
    "outstanding|unfixed|vulnerable|reported|triaged|backlog|planned|required|needed|needs *|need *|does not support|"
    "not supported|non compliant|noncompliant|not met|unmet|not compliant|not implemented|not available|placeholder*|"
    "stub|mock|unavailable|insufficient|weak|poor|none|never|no|not|check|lacking|lacks|blocked|rejected|assigned|"
    "partially supports|exposed|missed|not reached|above target|below target|over budget|exceeded|outdated|expired|violat*|untested|error|errors|incorrect|wrong|acknowledged|accepted|"
    "won't fix|wontfix|risk accepted|at risk|overdue|deferred|unresolved|awaiting *|waiting|identified|present|"
    "nicht konform|offen|fehlt|fehlend|nicht erfüllt|nicht bestanden|neu|mangelhaft|ausstehend|"
    "abiert*|pendiente*|falta*|no cumple|incumple|nuevo|nueva|ouvert*|à faire|en attente|manquant*|non conforme*|"
    "nouveau|nouvelle|abert*|pendente*|ausente|não conforme|apert*|da fare|mancante|nuovo|ontbreekt|te doen|nieuw|"
    "खुला|खुली|लंबित|बाकी|नहीं|गायब|अनुपलब्ध|नया|विफल|अधूरा|असफल"
)
_GOOD: Final = _words(
    "ok|okay|pass|passed|passes|good|exists|exist|working|works|ready|complete|supported|supports|compliant|met|reached|on target|yes|"
    "implemented|operational|healthy|live|active|present|fine|excellent|enabled|available|verified|functional|no issues|"
    "no issue|secure|conforms|safe|clean|conformant|valid|success*|connected|aa|aaa|confirmed|up to date|none found|"
    "bestanden|erfüllt|in ordnung|konform|vorhanden|cumple|correct*|conforme|oui|bien|atende|sim|sì|voldoet|aanwezig|"
    "ठीक है|सही|उपलब्ध|सफल|हाँ"
)

_SEVERITY_WORDS: Final = (
    ("critical", _words(
        "critical|crit|blocker|blocking|urgent|emergency|showstopper|show stopper|p0|s0|sev0|sev 0|severe|catastrophic|"
        "kritisch*|crítico|crítica|críticos|críticas|critique*|critico|critica|critici|bloqueante*|bloquant*|dringend|"
        "गंभीर|अति गंभीर|अत्यावश्यक|क्रिटिकल|अत्यंत गंभीर")),
    ("high", _words(
        "high|major|serious|important|p1|s1|sev1|sev 1|must|must have|grave|significant|"
        "hoch|hohe|hoher|hohes|schwer|schwerwiegend*|wichtig|alto|alta|altos|altas|élevé*|haut|haute|majeur*|forte|importante|"
        "elevat*|hoog|ernstig|उच्च|उच्‍च|ज़्यादा|अधिक|महत्वपूर्ण")),
    ("medium", _words(
        "medium|med|moderate|moderat*|p2|s2|sev2|sev 2|normal|should|average|warning|middle|"
        "mittel|mittlere|mittleres|mittlerer|medio|media|medios|medias|moderado|moderada|moyen*|modéré*|médio|média|"
        "middel|gemiddeld*|matig|मध्यम")),
    ("low", _words(
        "low|minor|trivial|info|informational|informative|information|note|p3|p4|s3|s4|sev3|sev4|nice to have|could|"
        "optional|cosmetic|gas|gas optimization|best practice|best practices|hint|negligible|nit|suggestion|non critical|"
        "niedrig*|gering*|leicht|bajo|baja|bajos|bajas|leve|faible*|mineur*|bas|baixo|baixa|bass*|laag|lage|informativ*|"
        "निम्न|कम|सामान्य")),
)  # fmt: skip
_SEVERITY_PHRASE: Final = re.compile(
    r"[\[(|:–—-]\s*(?P<tail>[^\[\]()|:]{2,40}?)\s*[\])]?\s*$|^\s*[\[(]?\s*(?P<head>[^\[\]():|–—]{1,24}?)\s*(?:[\])]|\s[–—-]\s|:)"
)
_CVSS: Final = re.compile(r"cvss[^0-9\n]{0,20}(?:3\.[01]|4\.0|v[234])?[^0-9\n]{0,12}(10(?:\.0)?|\d\.\d)(?!\d)", re.IGNORECASE)

_LABELS: Final = (
    (Label.ID, "id|ref|reference id|finding id|issue id|nr|no|number|bug id|kennung|ticket|#|№|क्रमांक|क्र|सं|num|n°"),
    (Label.STATUS, "status|state|current status|resolution|fix status|remediation status|result|results|outcome|conformance|conformance level|compliance|"
     "compliant|pass/fail|verdict|done|fixed|resolved|implemented|stand|zustand|estado|situación|statut|état|resultado|"
     "résultat|ergebnis|situação|stato|esito|toestand|resultaat|स्थिति|परिणाम|retest|retest result|retest status|progress"),
    (Label.SEVERITY, "severity|severity level|risk|risk level|risk rating|rating|level|criticality|impact level|cvss|cvss score|cvss v3|cvss 3.1|cvss 4.0|cvss base score|"
     "threat level|overall risk|schweregrad|schwere|risiko|kritikalität|einstufung|severidad|gravedad|riesgo|criticidad|"
     "sévérité|gravité|criticité|risque|severidade|gravidade|risco|gravità|severità|rischio|ernst|गंभीरता|जोखिम|stufe|niveau"),
    (Label.PRIORITY, "priority|prio|urgency|importance|priorität|dringlichkeit|prioridad|urgencia|priorité|urgence|prioridade|"
     "priorità|urgenza|prioriteit|प्राथमिकता"),
    (Label.LOCATION, "location|locations|file|files|path|url|urls|page|pages|affected|affected page|affected pages|affected component|affected file|affected files|affected url|"
     "affected urls|affected asset|affected assets|affected endpoint|affected endpoints|affected systems|affected contract|affected contracts|affected code|"
     "route|endpoint|endpoints|component|components|where|contract|contracts|module|target|asset|host|hosts|line|lines|code|source|screen|element|selector|"
     "datei|ort|seite|komponente|betroffen|fundstelle|ubicación|archivo|página|componente|emplacement|fichier|composant|"
     "localização|arquivo|posizione|file interessato|pagina|locatie|bestand|स्थान|पृष्ठ|फ़ाइल|पेज|फाइल"),
    (Label.EFFORT, "effort|estimate|estimated effort|estimated time|implementation time|time|time to fix|hours|fix effort|"
     "estimated hours|implementation|aufwand|esfuerzo|effort estimé|charge|esforço|sforzo|inspanning|प्रयास|समय"),
    (Label.FIX, "fix|solution|resolution details|resolution notes|fix applied|corrected|action taken|actions taken|remediation applied|what we did|"
     "change|changes|key changes|lösung|solución|correction|solução|soluzione|oplossing|समाधान"),
    (Label.ACTION, "action|actions|action needed|action item|next step|next steps|todo|to do|task|recommendation|recommendations|"
     "recommended action|recommended fix|suggested fix|remediation|mitigation|suggestion|how to fix|proposed fix|advice|"
     "recommended mitigation|recommended mitigation steps|required action|required actions|maßnahme|maßnahmen|empfehlung|abhilfe|"
     "recomendación|acción|acción requerida|recommandation|recommandations|remédiation|mesure|recomendação|ação|raccomandazione|azione|rimedio|aanbeveling|maatregel|"
     "सुझाव|सिफारिश|उपाय|अनुशंसा|कार्रवाई"),
    (Label.PROBLEM, "problem|issue|finding|observation|defect|vulnerability|weakness|gap|bug|error|what's wrong|what is wrong|failure|barrier|current state|"
     "what we found|what we saw|what happened|concern|befund|problem|feststellung|beobachtung|mangel|hallazgo|problema|constat|problème|achado|"
     "riscontro|bevinding|समस्या|त्रुटि|कमी|निष्कर्ष"),
    (Label.TITLE, "title|name|summary|subject|item|check|test|requirement|criterion|criteria|success criterion|control|feature|description of issue|"
     "area|topic|what|titel|bezeichnung|prüfpunkt|anforderung|thema|título|nombre|requisito|titre|nom|exigence|critère|titolo|nome|requisito|onderwerp|"
     "naam|eis|शीर्षक|विषय|नाम|जाँच|finding title|issue title"),
    (Label.CATEGORY, "category|type|class|group|owasp|cwe|wcag|wcag criterion|wcag sc|wcag level|kategorie|typ|categoría|tipo|catégorie|type de|categoria|"
     "categorie|soort|श्रेणी|प्रकार"),
    (Label.COUNT, "count|number of findings|number of issues|total|totals|percentage|%|anzahl|cantidad|nombre d'occurrences|quantidade|aantal|गिनती|कुल|संख्या|score"),
    (Label.DETAIL, "description|details|detail|impact|business impact|technical impact|user impact|evidence|proof of concept|poc|proof|steps to reproduce|reproduction|"
     "steps|reproduce|expected|actual|expected result|actual result|expected behavior|actual behavior|cause|root cause|why|why it matters|"
     "rationale|background|context|features|required features|missing features|requirement|requirements|access|note|notes|"
     "comment|comments|remark|remarks|reference|references|links|likelihood|probability|difficulty|exploitability|discussion|"
     "owner|assignee|assigned to|responsible|due|due date|deadline|date|found|reported|reported by|found by|reporter|auditor|author|tester|reviewer|result of|who is affected|"
     "users affected|affected users|example|examples|consequence|consequences|attack scenario|exploit scenario|scenario|exploit|technical details|analysis|"
     "data source|flow|expected state|client response|team response|developer response|response|retest notes|linked from|wcag reference|screenshot|screenshots|vulnerability detail|vulnerability details|code snippet|tool used|"
     "beschreibung|auswirkung|auswirkungen|nachweis|details|ursache|begründung|risikobeschreibung|verantwortlich|frist|bemerkung|bemerkungen|beleg|"
     "descripción|impacto|evidencia|pasos|detalle|detalles|causa|responsable|plazo|fecha|observaciones|description|preuve|étapes|détails|échéance|délai|remarque|"
     "descrição|evidência|passos|prazo|responsável|descrizione|impatto|evidenza|passaggi|scadenza|responsabile|beschrijving|gevolg|bewijs|stappen|eigenaar|"
     "विवरण|प्रभाव|प्रमाण|चरण|असर|कारण|टिप्पणी|ज़िम्मेदार|जिम्मेदार|समय सीमा"),
)  # fmt: skip
_LABEL_OF: Final = {word.strip(): label for label, words in reversed(_LABELS) for word in words.split("|")}

_POSITIVE: Final = re.compile(
    r"(?<!\w)(?:no|zero|without|free of|keine?|sin|sans|sem|senza|geen) (?:\w+ ){0,3}?"
    r"(?:issues?|errors?|problems?|vulnerabilit\w+|findings?|warnings?|violations?|gradients?|fehler|probleme?|errores|problemas|erreurs?|erros|errori|fouten)(?!\w)"
)
_PROBLEM: Final = _words(
    "does not|doesn't|do not|don't|did not|is not|isn't|are not|aren't|was not|were not|not|cannot|can't|could not|unable to|missing|"
    "lack|lacks|lacking|lack of|fails|fail|failed|failing|failure|never|without|broken|no|nothing|nobody|none|absent|absence of|"
    "insufficient*|exposed|exposes|hardcoded|hard coded|outdated|deprecated|leak|leaks|leaking|crash|crashes|slow|slowly|too|"
    "vulnerable|insecure*|unsafe|unencrypted|unauthenticated|unauthori?ed|plaintext|plain text|bypass*|injection|inject|"
    "incorrect*|wrong|wrongly|invalid|inconsisten*|inaccessible|unclear|confusing|unused|duplicate*|stale|weak|poor|poorly|only|"
    "should|must|needs|need to|needs to|has to|error|errors|timeout|times out|overflow*|reentran*|race condition|unbounded|unchecked|unprotected|"
    "unlimited|unvalidated|unescaped|unpatched|untested|undocumented|unnecessar*|blocking|blocks|trap|traps|"
    "ignored|ignores|ignore|dropped|lost|loses|allows|allow|anyone|arbitrary|default password|default credentials|excessive*|"
    "disabled|misconfigur*|mismatch|stolen|forge*|brute force|still|disclos*|world readable|public|enumerat*|spoof*|rejects|jumps|hidden|overlap*|unreadable|"
    "nicht|kein|keine|keinen|fehlt|fehlen|fehlende|ohne|veraltet|unsicher|zu lang|zu klein|zu langsam|langsam|ungültig|unverschlüsselt|"
    "falta|faltan|sin|carece|no|nunca|obsolet*|insegur*|lento|lenta|incorrect*|expuest*|ne|n'est|pas|aucun|aucune|manque|manquant*|sans|obsolète|"
    "trop|não|sem|ausente|desatualizad*|non|manca|mancano|senza|niet|geen|ontbreekt|ontbreken|zonder|verouderd|"
    "नहीं|गायब|कमी|बिना|पुराना|पुराने|पुरानी|टूटा|टूटी|टूटे|असुरक्षित|धीमा|धीमी|गलत|विफल|अनुपस्थित|त्रुटि"
)
_STRONG: Final = _words(
    "does not|doesn't|do not|don't|did not|is not|isn't|are not|aren't|was not|were not|cannot|can't|could not|unable to|missing|lack|"
    "lacks|lacking|fails to|fail to|fails|failed|never|broken|absent|insufficient*|exposed|exposes|hardcoded|hard coded|outdated|"
    "leaks|crashes|vulnerable|insecure*|unencrypted|unauthenticated|plaintext|plain text|incorrect*|inaccessible|too|stale|"
    "without|no longer|no|not|times out|throws|unpatched|untested|unprotected|unvalidated|misconfigur*|returns 404|returns 500|404|"
    "nicht|kein|keine|keinen|fehlt|fehlen|ohne|veraltet|falta|faltan|sin|carece|no|obsolet*|manque|n'est|aucun|aucune|sans|"
    "não|sem|ausente|non|manca|mancano|senza|niet|geen|ontbreekt|zonder|नहीं|गायब|बिना|पुराना|पुराने|पुरानी|टूट"
)
_FILLERS: Final = _words(
    "critical|high|medium|low|major|minor|priority|prioriti*|severity|urgent|immediate*|short term|mid term|medium term|long term|term|"
    "phase|week|weeks|sprint|day|days|step|part|section|level|tier|p0|p1|p2|p3|p4|all|other|additional|further|key|main|new|open|the|of|and|or|"
    "in|for|with|by|a|our|your|security|technical|functional|general|detailed|details|list|overview|important|nice to have|must have|"
    "should have|could have|informational|info|gas|optimization*|optimisation*|optional|remaining|current|potential*|known|total|"
    "area|areas|category|categories|pages|page|items|item|results|result|analysis|audit|report|review|assessment|remediation|next|now|"
    "later|soon|needs|need|required|implementation|completion|requirements|features|feature|fix|fixes|work|attention|quality|code|"
    "before|after|release|launch|first|second|third|today|month|months|quarter|hours|hour|done|todo|in progress|secondary|primary|"
    "kritisch*|hoch|hohe|mittel|mittlere|niedrig*|gering*|priorität|schwere|alta|alto|media|medio|baja|bajo|prioridad|gravedad|severidad|"
    "élevé*|moyen*|faible*|priorité|gravité|crítico*|crítica*|critique*|de|und|mit|du|des|les|la|le|el|los|las|y|et|e|"
    "उच्च|मध्यम|निम्न|गंभीर|प्राथमिकता|की|के|का|और|सूची|मुख्य|विस्तृत"
)
_ACTION: Final = _words(
    "add|create|implement|fix|remove|replace|update|upgrade|use|enable|disable|enforce|set|configure|introduce|build|move|"
    "write|rewrite|refactor|rotate|validate|sanitize|encrypt|restrict|limit|change|migrate|test|document|ensure|review|"
    "provide|improve|reduce|increase|increase|install|generate|connect|develop|define|deploy|integrate|optimi?e|make|"
    "monitor|patch|rename|run|schedule|separate|split|store|verify|wait|push|apply|audit|check|consider|avoid|convert|extend|"
    "stop|turn|drop|delete|publish|train|revoke|require|log|label|mark|compress|cache|lazy load|publish|consolidate|adopt|"
    "hinzufügen|ergänzen|ersetzen|entfernen|aktualisieren|prüfen|einführen|añadir|agregar|crear|corregir|implementar|"
    "actualizar|eliminar|usar|ajouter|créer|corriger|remplacer|mettre|supprimer|utiliser|adicionar|criar|atualizar|remover|"
    "aggiungere|creare|correggere|aggiornare|rimuovere|toevoegen|maken|vervangen|verwijderen|"
    "जोड़ें|बनाएँ|बनाएं|हटाएँ|हटाएं|बदलें|ठीक करें|लागू करें|अपडेट करें|करें"
)
_PAST: Final = re.compile(
    r"^\W*(?:we |was |were |has been |have been |now |is now )?(?:\w+ly )?"
    r"(?:fixed|added|removed|changed|replaced|set|disabled|enabled|updated|upgraded|implemented|moved|rotated|patched|"
    r"applied|migrated|rewrote|rewritten|introduced|switched|corrected|resolved|deployed|created|reverted|merged|"
    r"hinzugefügt|entfernt|ersetzt|behoben|aktualisiert)(?!\w)"
)

_TOLD_FIXED: Final = re.compile(
    r"^\W*(?:this (?:was|has been|is now) |was |has been |since |already |now |meanwhile |it was |it has (?:since )?been )?(?:been )?"
    r"(?:fixed|resolved|patched|corrected|remediated|behoben|erledigt|corregido|resuelto|solucionado|corrigé|résolu|corrigido|risolto|opgelost)(?!\w)"
)

_TOKEN: Final = re.compile(r"[\w\u0900-\u097f]+")
_EMPTY_WORDS: Final = frozenset(
    "a an the of on in at to for from with and or by is are was be been it its this that these all any no not as into "
    "per via when if but has have had do does than then so which will can only our your their there some each more most "
    "missing implement implemented implementation add added create created creation build built fix fixed make update updated "
    "completely complete need needs needed required should must new done next der die das den dem des ein eine einer und oder in im "
    "für von mit auf zu bei ist sind nicht kein keine fehlt fehlende fehlen el la los las un una de del en y o con para por que se su es no falta sin "
    "le les une des du et ou dans pour sur avec est pas ne sans aux au issue finding problem status open critical "
    "high medium low priority important urgent "
    "में का की के से पर को है हैं नहीं और या एक यह".split()
)
_GENERIC: Final = frozenset(
    "page pages system systems list listing feature features module component components section sections support "
    "functionality management functional item items".split()
)
_SUFFIXES: Final = ("ations", "ation", "ings", "ing", "ions", "ion", "ies", "ed", "es", "s", "y", "e")
_SHORTEST_STEM: Final = 4


def without_signs(text: str) -> str:
    """Take emoji and other signs out of a line."""
    return " ".join(_SIGNS.sub(" ", text).split())


@lru_cache(maxsize=4096)
def role_of(title: str) -> Role | None:
    """Tell what part a heading announces; None where its words do not say."""
    lowered = without_signs(title).casefold().replace("\u2019", "'")
    found: list[tuple[int, int, Role]] = []
    for rank, (role, pattern) in enumerate(_ROLES):
        matches = list(pattern.finditer(lowered))
        if matches:
            found.append((_weight(role, rank), matches[-1].end(), role))
    if not found:
        return None
    roles = {role for _, _, role in found}
    if Role.FINDINGS in roles and Role.NOISE in roles and _is_framing(lowered):
        return Role.NOISE
    good = [found.span() for found in dict(_ROLES)[Role.GOOD].finditer(lowered)]
    bad = [found.span() for found in dict(_ROLES)[Role.FINDINGS].finditer(lowered)]
    if good and bad and all(any(first <= start and end <= last for first, last in good) for start, end in bad):
        # "no issues", "ohne Befund", "positive findings"
        return Role.GOOD
    if Role.GOOD in roles and Role.FINDINGS in roles:
        return Role.FINDINGS
    return min(found)[2]


def _weight(role: Role, rank: int) -> int:
    """Findings win over what frames them ("summary of findings"), fixes over findings ("fixed issues")."""
    return {Role.FIXED: 0, Role.FINDINGS: 1, Role.ACTIONS: 2, Role.GOOD: 3, Role.NOISE: 4}[role] * 10 + rank


_FRAMING: Final = re.compile(
    r"(classification|definition|scale|criteria|levels?|rating|matrix|methodolog|by severity|statistic|distribution|"
    r"breakdown|count|legend|how (to|we)|overview of the|approach|why)"
)


def _is_framing(lowered: str) -> bool:
    return _FRAMING.search(lowered) is not None


@lru_cache(maxsize=8192)
def sign_of(text: str) -> Verdict | None:
    """Read the first sign of a line: a cross, a tick, a warning, an hourglass."""
    for letter in text:
        if letter in _BAD_SIGNS or letter in _WARNING_SIGNS or letter in _WAITING_SIGNS:
            return Verdict.OPEN
        if letter in _GOOD_SIGNS:
            return Verdict.GOOD
    return None


@lru_cache(maxsize=8192)
def status_of(text: str) -> Verdict | None:
    """Read a state as a short text gives it: what stands in a status column, behind `Status:`, or beside a title."""
    lowered = without_signs(text).casefold().replace("\u2019", "'").strip(" .:*`_")
    sign = sign_of(text)
    words = _status_of_words(lowered)
    if words is Verdict.GOOD and sign is Verdict.OPEN:
        return Verdict.OPEN
    if words is Verdict.OPEN and sign is Verdict.GOOD and not _NOT_DONE.search(lowered):
        return Verdict.GOOD
    return words or sign


def _status_of_words(lowered: str) -> Verdict | None:
    if not lowered:
        return None
    if _NO_FINDING.search(lowered):
        return Verdict.NONE
    if _PARTIAL.search(lowered):
        return Verdict.PARTIAL
    if _NOT_DONE.search(lowered):
        return Verdict.OPEN
    if _DONE.search(lowered):
        return Verdict.DONE
    if lowered in {"no", "nein", "non", "não", "नहीं", "x"}:
        return Verdict.OPEN
    if _POSITIVE.search(lowered):
        return Verdict.GOOD
    good, bad = _GOOD.search(lowered), _OPEN.search(lowered)
    if good and not bad:
        return Verdict.GOOD
    return Verdict.OPEN if bad else None


@lru_cache(maxsize=8192)
def severity_in(text: str, *, is_free: bool = False) -> str | None:
    """Read a severity: of a short text such as a cell as a whole, or (`is_free`) of a tag at either end of a title."""
    for letter in text:
        if letter in _SEVERITY_SIGNS and not is_free:
            return _SEVERITY_SIGNS[letter]
    score = _CVSS.search(text)
    if score:
        return severity_of_score(float(score[1]))
    bare = without_signs(plain_marks(text)).casefold()
    if not is_free:
        word = severity_of_word(bare)
        return word or _severity_of_words(bare)
    found = _SEVERITY_PHRASE.search(bare)
    tags = [tag for tag in (found.groupdict().values() if found else ()) if tag]
    tags += re.findall(r"[\[(]([^\[\]()]{2,30})[\])]", bare)
    for tag in tags:
        words = tag.split()
        if 1 <= len(words) <= _LONGEST_TAG:
            severity = _severity_of_words(tag)
            if severity:
                return severity
    return _SEVERITY_SIGNS.get(next((letter for letter in text if letter in _SEVERITY_SIGNS), ""))


_LONGEST_TAG: Final = 3


def plain_marks(text: str) -> str:
    """Take stars, ticks and underscores off the ends of words."""
    return re.sub(r"[*`_]+", "", text)


def _severity_of_words(lowered: str) -> str | None:
    return next((severity for severity, pattern in _SEVERITY_WORDS if pattern.search(lowered)), None)


@lru_cache(maxsize=8192)
def label_of(text: str) -> Label | None:
    """Read the name of a column, or what stands before a colon; None for what is no label."""
    bare = without_signs(plain_marks(text)).casefold().replace("\u2019", "'").strip(" .:?()-")
    bare = re.sub(r"\s*\([^)]*\)$", "", bare)
    return _LABEL_OF.get(bare)


@lru_cache(maxsize=8192)
def has_problem(text: str) -> bool:
    """Whether a sentence says that something is wrong, missing or to be changed."""
    lowered = without_signs(text).casefold().replace("\u2019", "'")
    return _PROBLEM.search(_POSITIVE.sub(" ", lowered)) is not None


@lru_cache(maxsize=8192)
def has_strong_problem(text: str) -> bool:
    """Whether a sentence says outright that something is not there or does not work."""
    lowered = without_signs(text).casefold().replace("\u2019", "'")
    return _STRONG.search(_POSITIVE.sub(" ", lowered)) is not None


@lru_cache(maxsize=8192)
def has_role_words_only(title: str) -> bool:
    """Whether nothing is left of a title without the words that name parts of a report, levels and times."""
    rest = title.casefold().replace("\u2019", "'")
    for _, pattern in _ROLES:
        rest = pattern.sub(" ", rest)
    rest = _FILLERS.sub(" ", rest)
    for _, pattern in _SEVERITY_WORDS:
        rest = pattern.sub(" ", rest)
    return not re.search(r"(?:[^\W\d_]|[\u0900-\u097f]){2,}", rest)


@lru_cache(maxsize=8192)
def is_action(text: str) -> bool:
    """Whether a line begins (or, in Hindi and German, ends) with a word that asks for something to be done."""
    lowered = without_signs(text).casefold()
    found = _ACTION.match(lowered.lstrip("*_ `"))
    return found is not None or re.search(r"(करें|जाएँ|जाए|बनाएँ|बनाएं|en|ern)[.।]?$", lowered) is not None


def is_past(text: str) -> bool:
    """Whether a fix is told of as done ("Removed ...") and not as wanted ("Remove ...")."""
    return _PAST.match(without_signs(text).casefold()) is not None


def is_told_fixed(text: str) -> bool:
    """Whether one of the sentences of a text begins with a word for done: "Fixed by ... in March."."""
    sentences = re.split(r"(?<=[.!?।])\s+", without_signs(text).casefold())
    return any(_TOLD_FIXED.match(sentence) is not None for sentence in sentences)


@lru_cache(maxsize=8192)
def tokens_of(text: str) -> frozenset[str]:
    """Reduce a title to the stems of its telling words."""
    return frozenset(
        _stem(word) for word in _TOKEN.findall(without_signs(text).casefold()) if word not in _EMPTY_WORDS and len(word) > 1
    )


def core_of(tokens: frozenset[str]) -> frozenset[str]:
    """Leave out words that any title may have, unless nothing is left."""
    return (tokens - _GENERIC_STEMS) or tokens


def _stem(word: str) -> str:
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _SHORTEST_STEM:
            return word[: -len(suffix)]
    return word


_GENERIC_STEMS: Final = frozenset(_stem(word) for word in _GENERIC)
