/* a comment */ # another
// and one more
name "label" "second" { number = -1.5e3, hex = 0xff, yes = true, text = "a\n\t\"b\" ${c("d")} \u00e9", }
list = [1, "two", [3], { four = 4 },]
doc = <<-EOT
    indented
  EOT
"quoted key" = <<X
x
X
