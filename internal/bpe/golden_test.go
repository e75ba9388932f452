package bpe_test

// golden are texts and their tokens in o200k_base, cl100k_base, p50k_base and
// r50k_base, as tiktoken-go counts them.
var golden = []struct {
	name, text string
	counts     [4]int
}{
	{"english", "The limiter waits until the server would admit the request; it doesn't guess, and it's never early. We'll see what they've done, I'd say.\n", [4]int{29, 35, 36, 36}},
	{"capitals", "DON'T SHOUT. McDonald's iPhone XMLHttpRequest HTTPServer OpenAI's RATE_LIMITS They'LL'VE", [4]int{24, 22, 28, 28}},
	{"european", "Größe straße cœur naïve façade Ærøskøbing İstanbul ılık łódź Příliš žluťoučký kůň", [4]int{32, 42, 57, 57}},
	{"decomposed", "e\u0301te\u0301 n\u0303 A\u030a o\u0308\u0304 \u0301 \u0301\u0301 x\u0332y\u0332", [4]int{23, 26, 31, 31}},
	{"vietnamese", "Xin chào thế giới, hôm nay trời đẹp quá!", [4]int{12, 24, 35, 35}},
	{"greek", "Γειά σου Κόσμε. ΠΡΟΣΟΧΗ: ό,τι θέλεις;", [4]int{23, 42, 48, 48}},
	{"cyrillic", "Привет, мир! Съешь ещё этих мягких французских булок. СССР", [4]int{18, 38, 74, 74}},
	{"arabic", "مرحبا بالعالم، كيف حالك اليوم؟ ١٢٣٤٥", [4]int{16, 34, 40, 40}},
	{"hebrew", "שָׁלוֹם עוֹלָם, מה שלומך?", [4]int{19, 31, 33, 33}},
	{"devanagari", "नमस्ते दुनिया, आप कैसे हैं? १२३", [4]int{13, 34, 50, 50}},
	{"tamil", "வணக்கம் உலகம்! ௧௨௩", [4]int{13, 28, 48, 48}},
	{"thai", "สวัสดีชาวโลก วันนี้อากาศดีมาก ๑๒๓", [4]int{18, 37, 64, 64}},
	{"chinese", "你好，世界！今天天气怎么样？他说：“限流器在请求发出之前就知道它的代价。”", [4]int{26, 38, 76, 76}},
	{"japanese", "こんにちは世界。カタカナとひらがな、漢字が混ざった文章です。ー々〆", [4]int{26, 33, 47, 47}},
	{"korean", "안녕하세요 세계. 오늘 날씨가 어떻습니까?", [4]int{12, 29, 51, 51}},
	{"georgian", "გამარჯობა მსოფლიო ᲒᲐᲛᲐᲠᲯᲝᲑᲐ", [4]int{32, 60, 75, 75}},
	{"armenian", "Բարեւ աշխարհ", [4]int{4, 23, 23, 23}},
	{"emoji", "👩\u200d👩\u200d👧\u200d👦 🇩🇪 ☃\ufe0f 🤷🏽\u200d♀\ufe0f 😀😀😀 ❤\ufe0f\u200d🔥", [4]int{31, 49, 48, 48}},
	{"case without case", "ǅ ǈungla ʰa ªb ⅷ Ⅷ ⓐ 𝐇𝐞𝐥𝐥𝐨 Aʰ Aʰb aʰA", [4]int{45, 49, 50, 50}},
	{"numbers", "1 12 123 1234 12345678901 3.14159 1,000,000 0x7fff ٣١٤ ²³ ½ Ⅻ 一二三 １２３", [4]int{47, 52, 51, 51}},
	{"go", "func main() {\n\tfor i := 0; i < 10; i++ {\n\t\tfmt.Println(i, \"n°\") // loop\n\t}\n}\n", [4]int{33, 33, 41, 41}},
	{"python", "def f(x):\n    \"\"\"Doc.\"\"\"\n    if x is None:\n        return {'a': [1, 2, 3]}\n\n\n    return x**2  # done\n", [4]int{38, 38, 43, 55}},
	{"json", "{\"level\":\"info\",\"ts\":\"2026-11-24T20:40:01.123Z\",\"msg\":\"done\",\"n\":1234567890,\"f\":-1.5e-7,\"a\":[null,true]}", [4]int{49, 48, 49, 49}},
	{"html", "<div class=\"a b\">\n  <a href=\"https://example.com//x?y=1&amp;z=%20#top\">It&#39;s</a>\n</div><!-- // -->\n", [4]int{41, 40, 51, 51}},
	{"log", "2026-11-24 22:24:11,042 ERROR [pool-1-thread-7] c.e.Main - java.lang.IllegalStateException: 0xDEADBEEF\r\n\tat c.e.Main.run(Main.java:42)\r\n", [4]int{50, 50, 66, 66}},
	{"paths", "/usr/local//bin/\n///\n//\n/ /\r\n/ C:\\Users\\x\\ ../..\n", [4]int{19, 18, 27, 27}},
	{"base64", "TWFuIGlzIGRpc3Rpbmd1aXNoZWQsIG5vdCBvbmx5IGJ5IGhpcyByZWFzb24sIGJ1dCBieSB0aGlz+/8kQ2V9+Zx==\n", [4]int{58, 60, 64, 64}},
	{"hex", "d41d8cd98f00b204e9800998ecf8427e E3B0C44298FC1C149AFBF4C8996FB924", [4]int{38, 38, 39, 39}},
	{"rules", "--------------------------------------------------------------------------------\n=================================\n*******#####\n~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~", [4]int{12, 11, 20, 20}},
	{"spaces", "   a                 b                                 1                                                                                                                                 !                          ", [4]int{10, 10, 18, 208}},
	{"white space", "x\n    \n    \ny\t\tz \t \n\r\n\r\n \t\n  end  \u00a0\u00a0w \u2028\u2029 \u3000q \u0085\u0085 \x0b\x0c ", [4]int{29, 30, 43, 49}},
	{"only white space", " \n\n  \n\t ", [4]int{3, 3, 6, 7}},
	{"contractions", "it's IT'S we'll WE'LL they'Ve 'tis 's's 'LL 'l 're'r ' s ''s ’s 'ſ 'S's", [4]int{33, 37, 39, 39}},
	{"control characters", "\x00\x01\x02a\x1b[31mred\x1b[0m\x7f\u0080\u009f\x00\x00", [4]int{18, 16, 20, 20}},
	{"special tokens", "<|endoftext|> <|fim_prefix|>a<|fim_middle|>b<|fim_suffix|><|endofprompt|><|im_start|>system<|im_end|><|start|><|channel|>", [4]int{53, 55, 63, 63}},
	{"byte order mark", "\ufeffa\ufeff\ufffdb", [4]int{5, 5, 9, 9}},
	{"invalid UTF-8", "\xff\xfe invalid \xc3\x28 \xe2\x82 \xe4\xbd", [4]int{6, 8, 8, 8}},
	{"surrogates and overlong", "a\xed\xa0\x80b \xc0\xaf\xf4\x90\x80\x80 \xf0\x9f\x98", [4]int{7, 7, 7, 7}},
	{"binary", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x80\x81\x82\x83\xfe\xff\x00", [4]int{13, 14, 17, 17}},
}
