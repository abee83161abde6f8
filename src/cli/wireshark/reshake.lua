-- made by 'reshake wireshark --install'
--
-- Makes fields of the comments that 'reshake annotate' and reshake's capture interfaces put on packets, so that they can be
-- filtered by, sorted, and put into columns: reshake.outcome == "declined" && reshake.confidence == "observed".

local reshake = Proto("reshake", "reshake: TLS session resumption")
reshake.fields.outcome = ProtoField.string("reshake.outcome", "Outcome")
reshake.fields.reason = ProtoField.string("reshake.reason", "Reason")
reshake.fields.confidence = ProtoField.string("reshake.confidence", "Confidence")
reshake.fields.text = ProtoField.string("reshake.text", "Text")

local comment = Field.new("frame.comment")
local fields = reshake.fields

function reshake.dissector(buffer, packet, tree)
    for _, info in ipairs({ comment() }) do
        local text = tostring(info.value):match("^reshake: (.*)$")
        if text then
            local part = tree:add(reshake, buffer())
            part:set_text("reshake: " .. text)
            local outcome, reason, confidence = text:match("^([%w-]+), ([%w-]+) %((%w+)%): connection")
            outcome = outcome or text:match("^([%w-]+): connection")
            if not outcome then
                reason, confidence = text:match("^([%w-]+) %((%w+)%)")
            end
            if outcome then part:add(fields.outcome, outcome) end
            if reason then part:add(fields.reason, reason) end
            if confidence then part:add(fields.confidence, confidence) end
            part:add(fields.text, text)
        end
    end
end

-- Behind all others, and for packets of every kind.
register_postdissector(reshake)
