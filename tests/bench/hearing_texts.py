"""What networks and people say, by language: announcements with their category, greetings, first words."""

from __future__ import annotations

VOICES: dict[str, tuple[str, ...]] = {
    "zh": ("cmn", "cmn+f2", "cmn+m3", "cmn+f4", "yue", "cmn+m7"),
    "en": ("en-us", "en-gb", "en-us+f3", "en-gb-x-rp+f2", "en-us+m4", "en-029+f1"),
    "de": ("de", "de+f2"),
    "fr": ("fr-fr", "fr-fr+f3"),
    "es": ("es", "es-419+f1"),
    "it": ("it", "it+f4"),
    "pt": ("pt-br", "pt+f2"),
    "ru": ("ru", "ru+f3"),
}
"""espeak-ng's voices, of which announcements are made."""

ANNOUNCEMENTS: dict[str, list[tuple[int, str]]] = {
    "zh": [
        (2, "您好,您拨打的用户已关机,请稍后再拨"),
        (2, "对不起,您所拨打的电话已关机"),
        (3, "您好,您拨打的号码是空号,请核对后再拨"),
        (3, "对不起,您拨打的号码不存在,请查证后再拨"),
        (4, "您好,您拨打的电话已停机"),
        (5, "您好,您拨打的用户正在通话中,请稍后再拨"),
        (5, "对不起,您拨叫的用户正在通话,请不要挂机,或稍后再拨"),
        (6, "对不起,您呼叫的用户现在不方便接听您的电话"),
        (7, "对不起,您所拨打的用户暂时无法接通,请稍后再拨"),
        (7, "您好,您拨打的电话不在服务区"),
        (8, "您好,您拨打的用户已暂停服务"),
        (9, "对不起,您拨打的用户正忙,请稍后再拨"),
        (10, "对不起,您拨打的号码不是本地号码,请在号码前加拨零"),
        (11, "对不起,您拨打的用户已设置呼入限制"),
        (12, "您好,您已进入来电提醒服务,我们会以短信通知机主"),
        (12, "您好,机主暂时不能接听,请在嘀声后留言"),
        (13, "对不起,您的电话正在转接中,呼叫转移失败"),
        (14, "对不起,网络忙,请稍后再拨"),
        (15, "您好,您拨打的电话暂时无人接听,请稍后再拨"),
        (16, "对不起,您的电话已欠费,请续交话费"),
        (17, "对不起,您拨打的电话无法接听"),
        (18, "您好,您拨打的用户号码已改号,请拨打新的号码"),
        (19, "对不起,线路故障,您的电话无法呼出"),
        (20, "请稍后再拨"),
    ],
    "en": [
        (2, "Hello, the subscriber you dialed is powered off. Please redial later."),
        (2, "The mobile phone you are calling is switched off."),
        (3, "Sorry, the number you dialed does not exist. Please check it and dial later."),
        (3, "The number you have dialed is not in service. Please check the number and try again."),
        (4, "Sorry, the number you dialed is out of service."),
        (5, "Hello, please hold on. The subscriber you dialed is talking with someone else."),
        (6, "Sorry, it is not convenient for the subscriber to answer your call now."),
        (7, "Sorry, the subscriber you dialed is not reachable. Please redial later."),
        (7, "Sorry, the subscriber you dialed cannot be connected for the moment."),
        (8, "The service of the number you dialed has been suspended."),
        (9, "Sorry, the number you dialed is busy now. Please redial later."),
        (10, "The number you dialed is not a local number. Please dial zero before the number."),
        (11, "Sorry, the subscriber you dialed has incoming call barring."),
        (12, "The call reminder service will inform the subscriber of your call by short message."),
        (13, "Your call is being forwarded. Call forwarding has failed."),
        (14, "All circuits are busy now. Please try your call again later."),
        (15, "There is no answer from the number you have called. Please try again."),
        (16, "Your account is defaulting. Please recharge and try again."),
        (17, "Your call cannot be completed as dialed."),
        (18, "The number you have reached has been changed."),
        (19, "Due to a line fault your call cannot go through."),
        (20, "Please redial later."),
    ],
}

MORE_VOICES: dict[str, tuple[str, ...]] = {
    "zh": ("cmn+f5", "cmn+m1", "cmn+linda", "hak"),
    "en": (
        "flite:slt", "flite:awb", "flite:rms", "flite:kal16", "pico:en-US", "pico:en-GB", "en-gb-scotland+m2",
        "en-us+klatt2", "en-us+linda", "en-us+grandma",
    ),
    "de": ("pico:de-DE", "de+m3", "de+linda"), "fr": ("pico:fr-FR", "fr-ch+f2", "fr-be+m7"),
    "es": ("pico:es-ES", "es+m4", "es-419+f5"), "it": ("pico:it-IT", "it+m2"), "pt": ("pt-br+f1", "pt+m4"),
    "ru": ("ru+m1", "ru+f5"), "nl": ("nl", "nl+f2"), "pl": ("pl", "pl+f4"), "sv": ("sv", "sv+f1"),
    "ja": ("ja", "ja+f3"), "cs": ("cs", "cs+f2"), "el": ("el", "el+f3"), "tr": ("tr", "tr+f2"),
    "hi": ("hi", "hi+f4"), "ko": ("ko", "ko+f2"), "vi": ("vi", "vi+f1"), "ar": ("ar", "ar+m3"),
    "id": ("id", "id+f5"), "fi": ("fi", "fi+f2"), "sw": ("sw", "sw+m2"), "he": ("he", "he+f1"),
}  # fmt: skip
"""Other talkers: espeak-ng's, flite's (recorded people in pieces) and PicoTTS's."""

STRANGE: dict[str, list[str]] = {
    "zh": [
        "欢迎致电客户服务中心,为了保证服务质量,您的通话可能会被录音",
        "今天天气很好,我们去公园散步吧,顺便买一些水果回来",
        "本次列车终点站到了,请您带好随身物品准备下车",
    ],
    "en": [
        "Thank you for calling. Your call is important to us and will be answered in the order received.",
        "The weather today will be sunny with a chance of rain in the evening.",
        "For opening hours press one, for directions press two, or stay on the line.",
    ],
    "de": [
        "Willkommen bei der Auskunft. Alle Plätze sind zurzeit belegt, bitte haben Sie einen Moment Geduld."
    ],
    "fr": ["Bienvenue. Toutes nos lignes sont occupées, veuillez patienter quelques instants."],
    "es": ["Bienvenido. En este momento todos nuestros operadores están ocupados, espere por favor."],
    "it": ["Benvenuti. Al momento tutti gli operatori sono occupati, vi preghiamo di attendere in linea."],
    "pt": ["Bem-vindo. No momento todos os atendentes estão ocupados, por favor aguarde na linha."],
    "ru": ["Здравствуйте. Сейчас все операторы заняты, пожалуйста, оставайтесь на линии."],
    "nl": ["Welkom. Al onze medewerkers zijn in gesprek, een ogenblik geduld alstublieft."],
    "pl": ["Witamy. Wszyscy konsultanci są zajęci, prosimy o cierpliwość i pozostanie na linii."],
    "sv": ["Välkommen. Alla våra handläggare är upptagna just nu, var god vänta kvar i telefonen."],
    "ja": ["お電話ありがとうございます。ただいま電話が大変混み合っております。そのままお待ちください。"],
    "cs": ["Dobrý den, všichni naši operátoři jsou obsazeni, vyčkejte prosím na lince."],
    "el": ["Καλώς ήρθατε. Όλοι οι εκπρόσωποι είναι απασχολημένοι, παρακαλώ περιμένετε."],
    "tr": ["Hoş geldiniz. Tüm müşteri temsilcilerimiz meşguldür, lütfen hatta bekleyiniz."],
    "hi": ["नमस्ते। हमारे सभी प्रतिनिधि अभी व्यस्त हैं, कृपया लाइन पर बने रहें।"],
    "ko": ["안녕하세요. 지금은 모든 상담원이 통화 중입니다. 잠시만 기다려 주십시오."],
    "vi": ["Xin chào. Hiện tại tất cả các tổng đài viên đều bận, xin quý khách vui lòng chờ trong giây lát."],
    "ar": ["مرحبا بكم. جميع موظفينا مشغولون الآن، يرجى الانتظار على الخط."],
    "id": ["Selamat datang. Semua petugas kami sedang sibuk, mohon tunggu sebentar."],
    "fi": ["Tervetuloa. Kaikki asiakaspalvelijamme ovat varattuja, olkaa hyvä ja odottakaa."],
    "sw": ["Karibu. Wahudumu wetu wote wana shughuli kwa sasa, tafadhali subiri kwenye laini."],
    "he": ["שלום. כל הנציגים שלנו עסוקים כרגע, אנא המתינו על הקו."],
}
"""Speech that is in no library."""

HELLOS: dict[str, list[str]] = {
    "zh": ["喂", "喂,你好", "你好,哪位"],
    "en": ["Hello?", "Hello, who is this?", "Yes?", "Good morning", "Yeah, hi", "Miller speaking"],
    "de": ["Hallo?", "Schmidt, guten Tag", "Ja bitte?"],
    "fr": ["Allô?", "Oui, bonjour", "Oui?"],
    "es": ["¿Diga?", "¿Hola, quién es?", "¿Bueno?"],
    "it": ["Pronto?", "Sì, pronto"],
    "pt": ["Alô?", "Oi, quem fala?"],
    "ru": ["Алло?", "Да, слушаю"],
    "nl": ["Hallo?", "Met Jan de Vries"],
    "pl": ["Halo?", "Tak, słucham"],
    "sv": ["Hallå?", "Ja, det är Anna"],
    "ja": ["もしもし", "はい、田中です"],
    "cs": ["Haló?", "Prosím?"],
    "el": ["Εμπρός;", "Ναι;"],
    "tr": ["Alo?", "Efendim?"],
    "hi": ["हैलो?", "हाँ, बोलिए"],
    "ko": ["여보세요?", "네, 누구세요?"],
    "vi": ["A lô?", "A lô, ai đấy?"],
    "ar": ["ألو؟", "نعم، من معي؟"],
    "id": ["Halo?", "Ya, siapa ini?"],
    "fi": ["Haloo?", "Virtanen"],
    "sw": ["Halo?", "Habari?"],
    "he": ["הלו?", "כן, שלום"],
}

GREETINGS: dict[str, list[str]] = {
    "zh": [
        "您好,我现在不方便接听电话,请在提示音后留言,我会尽快给您回电",
        "这里是张先生的语音信箱,请在听到嘀的一声之后留下您的姓名和电话号码",
    ],
    "en": [
        "Hi, you have reached the voice mail of John Smith. I can't take your call right now. Please leave a "
        "message after the tone and I will get back to you.",
        "The person you are trying to reach is not available. At the tone, please record your message.",
        "Hey, it's Dave, leave me a message and I'll call you back.",
        "You have reached five five five, zero one nine eight. Please speak after the beep.",
    ],
    "de": [
        "Guten Tag, Sie sind mit der Mailbox von Familie Schmidt verbunden. Bitte hinterlassen Sie eine "
        "Nachricht nach dem Signalton."
    ],
    "fr": ["Bonjour, vous êtes bien sur la messagerie de Pierre. Laissez un message après le bip sonore."],
    "es": ["Hola, este es el contestador de María. Deje su mensaje después de la señal, por favor."],
    "it": ["Salve, questa è la segreteria telefonica. Lasciate un messaggio dopo il segnale acustico."],
    "pt": ["Olá, não posso atender agora. Deixe o seu recado depois do sinal, por favor."],
    "ru": ["Здравствуйте, вас приветствует автоответчик. Оставьте сообщение после звукового сигнала."],
    "nl": ["Dit is de voicemail van Jan de Vries. Spreek een bericht in na de toon."],
    "pl": ["Dodzwoniłeś się do poczty głosowej. Zostaw wiadomość po usłyszeniu sygnału."],
    "sv": ["Hej, du har kommit till Annas telefonsvarare. Lämna ett meddelande efter pipet."],
    "ja": ["ただいま電話に出ることができません。ピーという音の後に、お名前とご用件をお話しください。"],
    "cs": ["Dovolali jste se do hlasové schránky. Zanechte prosím vzkaz po zaznění tónu."],
    "el": ["Αυτή τη στιγμή δεν μπορώ να απαντήσω. Αφήστε το μήνυμά σας μετά τον ήχο."],
    "tr": ["Şu anda telefona cevap veremiyorum. Lütfen sinyal sesinden sonra mesajınızı bırakın."],
    "hi": ["मैं अभी फ़ोन नहीं उठा सकता। कृपया बीप के बाद अपना संदेश छोड़ें।"],
    "ko": ["지금은 전화를 받을 수 없습니다. 삐 소리가 난 후 메시지를 남겨 주십시오."],
    "vi": ["Hiện tại tôi không thể nghe máy. Xin để lại lời nhắn sau tiếng bíp."],
    "ar": ["لا أستطيع الرد على مكالمتك الآن. يرجى ترك رسالة بعد سماع الصافرة."],
    "id": ["Saya tidak bisa menerima telepon sekarang. Silakan tinggalkan pesan setelah nada berikut."],
    "fi": ["En voi vastata puhelimeen juuri nyt. Jätä viesti äänimerkin jälkeen."],
    "sw": ["Siwezi kupokea simu yako kwa sasa. Tafadhali acha ujumbe baada ya mlio."],
    "he": ["אני לא יכול לענות כרגע. אנא השאירו הודעה לאחר הצפצוף."],
}

HELD_OUT_LANGUAGES = ("it", "pt", "ru", "tr", "hi", "ko", "vi", "ar", "id", "fi", "sw", "he")
"""Heard only in corpora that nobody tunes on."""
HELD_OUT_ENGINES = ("pico:",)
"""So are their talkers."""
